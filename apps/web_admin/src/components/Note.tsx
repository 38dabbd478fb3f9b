import type { ReactNode } from "react";
import type { Tone } from "./Tag";

interface NoteProps {
  readonly tone: Tone;
  readonly title: ReactNode;
  readonly children?: ReactNode;
}

/** A message in the page; errors are announced to screen readers at once. */
export function Note({ tone, title, children }: NoteProps) {
  return (
    <div className={`note tone-${tone}`} role={tone === "error" ? "alert" : "status"}>
      <div className="note-title">{title}</div>
      {children}
    </div>
  );
}

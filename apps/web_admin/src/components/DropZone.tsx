import { Stack, Text } from "@mantine/core";
import { type DragEvent, useId, useState } from "react";
import { Icon } from "./Icon";

interface DropZoneProps {
  readonly label: string;
  readonly hint: string;
  readonly accept: string;
  readonly file: File | null;
  readonly describe: (file: File) => string;
  readonly disabled?: boolean;
  readonly onFile: (file: File) => void;
}

/** A place to drop a file on, which is a native file field for the keyboard and for screen readers. */
export function DropZone({ label, hint, accept, file, describe, disabled = false, onFile }: DropZoneProps) {
  const id = useId();
  const [over, setOver] = useState(false);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const dropped = event.dataTransfer.files[0];
    if (dropped !== undefined && !disabled) onFile(dropped);
  };
  return (
    <label
      htmlFor={id}
      className="drop"
      data-over={over}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Stack gap={4} align="center">
        <Icon name={file === null ? "upload" : "ok"} size={30} />
        <Text fw={600}>{file === null ? label : file.name}</Text>
        <Text size="sm" c="dimmed">
          {file === null ? hint : describe(file)}
        </Text>
      </Stack>
      <input
        id={id}
        type="file"
        accept={accept}
        disabled={disabled}
        aria-label={label}
        style={{ position: "absolute", opacity: 0, width: 1, height: 1 }}
        onChange={(event) => {
          const chosen = event.currentTarget.files?.[0];
          if (chosen !== undefined) onFile(chosen);
        }}
      />
    </label>
  );
}

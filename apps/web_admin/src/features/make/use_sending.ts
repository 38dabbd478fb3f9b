import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { type Pace, PaceMeter } from "../../api/speed";
import type { ConsentCreate, Take } from "../../api/types";
import { type Sent, sendTake, type TakeFiles } from "../../api/upload";

export interface Sending {
  readonly sent: Sent | null;
  readonly pace: Pace | null;
  readonly busy: boolean;
  readonly error: Error | null;
  readonly start: (files: TakeFiles, consent: ConsentCreate) => void;
  readonly stop: () => void;
  readonly clear: () => void;
}

/** Sends a take and tells how it goes. Closing the tab meanwhile asks first. */
export function useSending(onDone: (take: Take) => void): Sending {
  const [progress, setProgress] = useState<{ sent: Sent; pace: Pace } | null>(null);
  const abort = useRef<AbortController | null>(null);
  const sending = useMutation({
    mutationFn: ({ files, consent }: { files: TakeFiles; consent: ConsentCreate }) => {
      const meter = new PaceMeter();
      abort.current = new AbortController();
      const onSent = (sent: Sent) => setProgress({ sent, pace: meter.add(sent.bytes, sent.total, performance.now()) });
      return sendTake(files, consent, onSent, abort.current.signal);
    },
    onSuccess: onDone,
    onSettled: () => setProgress(null),
  });

  const busy = sending.isPending;
  useEffect(() => {
    if (!busy) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [busy]);
  useEffect(() => () => abort.current?.abort(), []);

  return {
    sent: progress?.sent ?? null,
    pace: progress?.pace ?? null,
    busy,
    error: sending.error,
    start: (files, consent) => sending.mutate({ files, consent }),
    stop: () => abort.current?.abort(),
    clear: () => sending.reset(),
  };
}

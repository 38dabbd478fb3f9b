import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useRef, useState } from "react";
import { applyEvent, EventStream, type StreamState } from "../api/events";
import type { StudioEvent } from "../api/types";

type Listen = (listener: (event: StudioEvent) => void) => () => void;

const StateContext = createContext<StreamState>("connecting");
const ListenContext = createContext<Listen>(() => () => undefined);

/** Follows the studio's events for as long as somebody is signed in. */
export function EventsProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [state, setState] = useState<StreamState>("connecting");
  const [listeners] = useState(() => new Set<(event: StudioEvent) => void>());
  const wasLost = useRef(false);

  useEffect(() => {
    const stream = new EventStream((next) => {
      setState(next);
      if (next === "lost") wasLost.current = true;
      // Whatever happened while the stream was down is read anew.
      if (next === "open" && wasLost.current) {
        wasLost.current = false;
        void client.invalidateQueries();
      }
    });
    stream.listen((event) => {
      applyEvent(client, event);
      for (const listener of listeners) listener(event);
    });
    stream.start();
    return () => stream.stop();
  }, [client, listeners]);

  const [listen] = useState<Listen>(() => (listener: (event: StudioEvent) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  });
  return (
    <ListenContext value={listen}>
      <StateContext value={state}>{children}</StateContext>
    </ListenContext>
  );
}

export const useStreamState = () => useContext(StateContext);

/** Calls `handler` for every event while the component stands. */
export function useEvents(handler: (event: StudioEvent) => void): void {
  const listen = useContext(ListenContext);
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => listen((event) => latest.current(event)), [listen]);
}

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { RouterProvider } from "react-router/dom";
import { getConnection, onConnection } from "../api/connection";
import { ApiError } from "../api/errors";
import { Login } from "../features/login/Login";
import { EventsProvider } from "./EventsProvider";
import { Frame } from "./Frame";
import { getRouter } from "./routes";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5000,
      // The studio's own refusals do not change by asking again; no answer and faults may.
      retry: (count, error) => count < 2 && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
    },
  },
});

export function App() {
  const connection = useSyncExternalStore(onConnection, getConnection);
  return (
    <Frame>
      <QueryClientProvider client={client}>
        {connection === null ? (
          <Login />
        ) : (
          <EventsProvider key={connection.token}>
            <RouterProvider router={getRouter()} />
          </EventsProvider>
        )}
      </QueryClientProvider>
    </Frame>
  );
}

import createClient, { type Middleware } from "openapi-fetch";
import { getConnection, signOut } from "./connection";
import { offline, toApiError } from "./errors";
import type { paths } from "./schema.gen";

const authorise: Middleware = {
  onRequest({ request }) {
    const connection = getConnection();
    if (connection !== null) request.headers.set("Authorization", `Bearer ${connection.token}`);
    return request;
  },
  onResponse({ response }) {
    // A token that was right once and is wrong now: the studio was started anew. The form asks for the new one.
    if (response.status === 401) signOut();
  },
  onError: () => offline(),
};

/** The typed client, made anew for each connection. */
function makeClient(base: string) {
  const client = createClient<paths>({ baseUrl: base, fetch: (request) => globalThis.fetch(request) });
  client.use(authorise);
  return client;
}

let made: { base: string; client: ReturnType<typeof makeClient> } | null = null;

export function api(): ReturnType<typeof makeClient> {
  const base = getConnection()?.base ?? window.location.origin;
  if (made?.base !== base) made = { base, client: makeClient(base) };
  return made.client;
}

interface Outcome<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The data of an answer, or its error thrown as an `ApiError`. */
export async function must<Data>(call: Promise<Outcome<Data>>): Promise<Data> {
  const { data, error, response } = await call;
  if (!response.ok) throw toApiError(response.status, error);
  return data as Data;
}

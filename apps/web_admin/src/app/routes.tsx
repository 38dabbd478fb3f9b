import { createHashRouter } from "react-router";
import { Layout } from "./Layout";
import { RouteFailed } from "./RouteFailed";

let router: ReturnType<typeof createHashRouter> | null = null;

/** The router, made at the first use: by then the token is out of the address, which the router reads when it is made. */
export function getRouter(): ReturnType<typeof createHashRouter> {
  router ??= makeRouter();
  return router;
}

/** Pages are loaded when they are opened. Hash routes, because the page is also served from `app://`. */
const makeRouter = () => createHashRouter([
  {
    element: <Layout />,
    errorElement: <RouteFailed />,
    children: [
      { index: true, lazy: async () => ({ Component: (await import("../features/home/Home")).Home }) },
      { path: "make", lazy: async () => ({ Component: (await import("../features/make/NewTake")).NewTake }) },
      { path: "make/:takeId", lazy: async () => ({ Component: (await import("../features/make/Wizard")).Wizard }) },
      { path: "live", lazy: async () => ({ Component: (await import("../features/live/Live")).Live }) },
      { path: "avatars", lazy: async () => ({ Component: (await import("../features/avatars/Avatars")).Avatars }) },
      { path: "voices", lazy: async () => ({ Component: (await import("../features/voices/Voices")).Voices }) },
      { path: "models", lazy: async () => ({ Component: (await import("../features/models/Models")).Models }) },
      { path: "takes", lazy: async () => ({ Component: (await import("../features/takes/Takes")).Takes }) },
      { path: "tasks", lazy: async () => ({ Component: (await import("../features/tasks/Tasks")).Tasks }) },
      { path: "audit", lazy: async () => ({ Component: (await import("../features/audit/Audit")).Audit }) },
      { path: "settings", lazy: async () => ({ Component: (await import("../features/settings/Settings")).Settings }) },
      { path: "*", lazy: async () => ({ Component: (await import("./NotFound")).NotFound }) },
    ],
  },
]);

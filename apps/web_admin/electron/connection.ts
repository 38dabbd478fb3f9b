import type { Connection } from "./bridge";
import type { Status } from "./status";
import type { Supervisor } from "./supervisor";

/** Waits until the child is ready; rejects when it has given up or was stopped. */
export function whenReady(supervisor: Supervisor, token: string): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const settle = (status: Status): boolean => {
      if (status.state === "ready") resolve({ url: status.url, token });
      else if (status.state === "crashed" && status.final) reject(new Error([status.reason, ...status.lastLines].join("\n")));
      else if (status.state === "stopped" || status.state === "stopping") reject(new Error("The studio is stopped."));
      else return false;
      supervisor.off("status", settle);
      return true;
    };
    if (!settle(supervisor.status)) supervisor.on("status", settle);
  });
}

import { api, must } from "../../api/client";
import type { Model } from "../../api/types";
import type { Tone } from "../../components/Tag";

export const TONES: Record<Model["state"], Tone> = { candidate: "info", in_review: "warning", ready: "ok", retired: "idle" };

export type Act = "approve" | "reject" | "promote" | "rollback";

export function act(id: string, what: Act, note = ""): Promise<Model> {
  const params = { path: { model_id: id } };
  switch (what) {
    case "approve":
      return must(api().POST("/api/v1/models/{model_id}:approve", { params, body: { note } }));
    case "reject":
      return must(api().POST("/api/v1/models/{model_id}:reject", { params, body: { note } }));
    case "promote":
      return must(api().POST("/api/v1/models/{model_id}:promote", { params }));
    case "rollback":
      return must(api().POST("/api/v1/models/{model_id}:rollback", { params }));
  }
}

/** What can be done with a version in its state. */
export function actsFor(model: Model): Act[] {
  if (model.state === "in_review") return ["approve", "reject"];
  if (model.live) return model.parent_id === null ? [] : ["rollback"];
  return model.state === "ready" && model.kind !== "base" ? ["promote"] : [];
}

import type { Job, Model, Take } from "../../src/api/types";

export function makeJob(more: Partial<Job> = {}): Job {
  return {
    id: "j1",
    kind: "avatars:train",
    state: "running",
    priority: "normal",
    queue: "cpu",
    progress: 0.4,
    stage: "listening",
    eta_s: 60,
    figures: {},
    subject_id: null,
    request: { take_id: "t1" },
    result: null,
    error: null,
    attempts: 1,
    cancel_requested: false,
    file_url: null,
    created_at: "2026-01-01T00:00:00Z",
    started_at: null,
    finished_at: null,
    ...more,
  };
}

export function makeTake(more: Partial<Take> = {}): Take {
  return {
    id: "t1",
    name: "take",
    state: "prepared",
    video_name: "a.mp4",
    voice_name: null,
    size_bytes: 1,
    report: { ok: true, findings: [], info: {} },
    consent: {
      id: "c1",
      person: "A",
      scope: ["train"],
      statement: "s",
      statement_version: "1",
      until: null,
      withdrawn_at: null,
      created_at: "2026-01-01T00:00:00Z",
    },
    face_id: null,
    mic_profile: {},
    chroma_info: {},
    job_id: null,
    preview_avatar_id: null,
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    ...more,
  };
}

export function makeModel(more: Partial<Model>): Model {
  return {
    id: "m1",
    kind: "avatar",
    owner_id: "a1",
    name: "n",
    version: "2",
    engine: "lipbank",
    state: "ready",
    live: false,
    format: "1",
    sample_rate: 16_000,
    input_shape: [],
    feature: "mel",
    metrics: {},
    files: {},
    path: "",
    parent_id: null,
    take_ids: [],
    consent_id: null,
    reasons: [],
    evaluation: {},
    note: "",
    created_at: "2026-01-01T00:00:00Z",
    reviewed_at: null,
    ...more,
  };
}

/** Sends recordings: small ones in one request, large ones in parts that can be resumed after a reload. */
import { Upload } from "tus-js-client";
import { api, must } from "./client";
import { address, getConnection } from "./connection";
import { ApiError, offline, toApiError } from "./errors";
import type { ConsentCreate, Take } from "./types";

/** Above this a lost connection costs more than the overhead of sending in parts. Bytes. */
export const RESUMABLE_FROM = 24 * 1024 * 1024;
const PART = 8 * 1024 * 1024;

export interface Sent {
  readonly bytes: number;
  readonly total: number;
}

export interface TakeFiles {
  readonly video: File;
  readonly voice: File | null;
}

const cancelled = () => new ApiError(0, "cancelled", "");

function bearer(): string {
  return `Bearer ${getConnection()?.token ?? ""}`;
}

/** Sends one file in resumable parts; resolves to the upload's id. A file sent half before goes on where it stopped. */
export async function sendInParts(file: File, onSent: (bytes: number) => void, signal: AbortSignal): Promise<string> {
  const { upload, done } = prepare(file, onSent);
  const earlier = (await upload.findPreviousUploads())[0];
  if (earlier !== undefined) upload.resumeFromPreviousUpload(earlier);
  signal.throwIfAborted();
  const stop = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      void upload.abort();
      reject(cancelled());
    });
  });
  upload.start();
  await Promise.race([done, stop]);
  const id = upload.url?.replace(/\/+$/, "").split("/").at(-1);
  if (id === undefined || id === "") throw new ApiError(0, "internal", "");
  return id;
}

function prepare(file: File, onSent: (bytes: number) => void): { upload: Upload; done: Promise<void> } {
  let settle: { resolve: () => void; reject: (error: ApiError) => void } | null = null;
  const done = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const upload = new Upload(file, {
    endpoint: address("/api/v1/uploads/"),
    headers: { Authorization: bearer() },
    metadata: { filename: file.name, filetype: file.type },
    chunkSize: PART,
    retryDelays: [0, 500, 1000, 2000, 4000, 8000],
    removeFingerprintOnSuccess: true,
    onProgress: onSent,
    onSuccess: () => settle?.resolve(),
    onError: (error) => {
      const status = "originalResponse" in error ? (error.originalResponse?.getStatus() ?? 0) : 0;
      settle?.reject(toApiError(status, parseBody("originalResponse" in error ? error.originalResponse?.getBody() : "")));
    },
  });
  return { upload, done };
}

function parseBody(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}

/** Sends a take with its consent and waits for its report; `onSent` hears of every part that has left. */
export async function sendTake(
  files: TakeFiles,
  consent: ConsentCreate,
  onSent: (sent: Sent) => void,
  signal: AbortSignal,
): Promise<Take> {
  const total = files.video.size + (files.voice?.size ?? 0);
  if (total < RESUMABLE_FROM) return sendWhole(files, consent, onSent, signal);
  const video = await sendInParts(files.video, (bytes) => onSent({ bytes, total }), signal);
  const before = files.video.size;
  const voice =
    files.voice === null ? null : await sendInParts(files.voice, (bytes) => onSent({ bytes: before + bytes, total }), signal);
  const body = { video_upload_id: video, voice_upload_id: voice, consent };
  return must(api().POST("/api/v1/takes", { body, signal }));
}

/** One multipart request. XMLHttpRequest, because fetch does not tell how much has been sent. */
function sendWhole(files: TakeFiles, consent: ConsentCreate, onSent: (sent: Sent) => void, signal: AbortSignal): Promise<Take> {
  const form = new FormData();
  form.append("consent", JSON.stringify(consent));
  form.append("video", files.video);
  if (files.voice !== null) form.append("voice", files.voice);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("/api/v1/takes"));
    request.setRequestHeader("Authorization", bearer());
    request.upload.onprogress = (event) => onSent({ bytes: event.loaded, total: event.total });
    request.onload = () => {
      const body = parseBody(request.responseText);
      if (request.status === 201) resolve(body as Take);
      else reject(toApiError(request.status, body));
    };
    request.onerror = () => reject(offline());
    request.onabort = () => reject(cancelled());
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

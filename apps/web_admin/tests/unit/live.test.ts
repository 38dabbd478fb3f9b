import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ClientMeter } from "../../src/features/live/client_stats";
import { LiveConnection } from "../../src/features/live/live_connection";
import type { Session } from "../../src/api/types";

const session: Session = { id: "s1", avatar_id: "a1", voice_id: null, transport: "webrtc", state: "ready", created_at: "2026-01-01T00:00:00Z" };
const calls: string[] = [];
let peers: FakePeer[] = [];

class FakePeer {
  iceGatheringState = "complete";
  connectionState = "new";
  localDescription: { sdp: string } | null = null;
  remote: unknown = null;
  closed = false;
  directions: string[] = [];
  sent: unknown[] = [];
  ontrack: ((event: { track: unknown }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;

  constructor() {
    peers.push(this);
  }
  addTransceiver(kind: string, { direction }: { direction: string }) {
    this.directions.push(`${kind} ${direction}`);
    return { sender: { replaceTrack: (track: unknown) => Promise.resolve(this.sent.push(track)) } };
  }
  createOffer() {
    return Promise.resolve({ type: "offer", sdp: "offer sdp" });
  }
  setLocalDescription(description: { sdp: string }) {
    this.localDescription = description;
    return Promise.resolve();
  }
  setRemoteDescription(description: unknown) {
    this.remote = description;
    return Promise.resolve();
  }
  become(state: string) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
  close() {
    this.closed = true;
  }
}

function answer(request: Request): Response {
  const path = new URL(request.url).pathname.replace("/api/v1", "");
  calls.push(`${request.method} ${path}`);
  if (request.method === "DELETE") return new Response(null, { status: 204 });
  const bodies: Record<string, unknown> = {
    "/live/sessions": session,
    "/live/sessions/s1/connection": { ice_servers: [], relay_only: false, clients: [], turn_trouble: null },
    "/live/sessions/s1/offer": { sdp: "answer sdp", type: "answer" },
    "/live/sessions/s1:say": { session_id: "s1", turn: 3 },
  };
  const body = bodies[path];
  return body === undefined
    ? new Response(JSON.stringify({ code: "too_many", message: "" }), { status: 429 })
    : new Response(JSON.stringify(body), { status: 201, headers: { "Content-Type": "application/json" } });
}

beforeEach(() => {
  calls.length = 0;
  peers = [];
  vi.stubGlobal("RTCPeerConnection", FakePeer);
  vi.stubGlobal("MediaStream", class { addTrack() {} });
  vi.stubGlobal("fetch", (request: Request) => Promise.resolve(answer(request)));
});
afterEach(() => vi.unstubAllGlobals());

describe("live connection", () => {
  it("offers to receive sound and picture, and is live once connected", async () => {
    const live = new LiveConnection();
    const seen: string[] = [];
    live.subscribe(() => seen.push(live.state().name));
    await live.open({ avatar_id: "a1" });
    expect(peers[0]?.directions).toEqual(["audio sendrecv", "video recvonly"]);
    expect(peers[0]?.remote).toEqual({ type: "answer", sdp: "answer sdp" });
    peers[0]?.become("connected");
    expect(seen).toEqual(["idle", "opening", "connecting", "live"]);
    expect(await live.say("hello", "say", false)).toBe(3);
    await live.close();
    expect(peers[0]?.closed).toBe(true);
    expect(calls).toEqual(["POST /live/sessions", "GET /live/sessions/s1/connection", "POST /live/sessions/s1/offer", "POST /live/sessions/s1:say", "DELETE /live/sessions/s1"]);
  });

  it("leaves a session open that others may watch", async () => {
    const live = new LiveConnection();
    await live.join(session);
    live.leave();
    expect(calls).toEqual(["GET /live/sessions/s1/connection", "POST /live/sessions/s1/offer"]);
    expect(live.state()).toEqual({ name: "idle" });
  });

  it("ends a session that was opened after nobody wanted it any more", async () => {
    const live = new LiveConnection();
    const opening = live.open({ avatar_id: "a1" });
    live.leave();
    await opening;
    expect(calls).toEqual(["POST /live/sessions", "DELETE /live/sessions/s1"]);
    expect(live.state().name).toBe("idle");
  });

  it("says when the connection fails, and when a session is refused", async () => {
    const live = new LiveConnection();
    await live.open({ avatar_id: "a1" });
    peers[0]?.become("failed");
    expect(live.state()).toMatchObject({ name: "failed", error: { code: "unavailable" } });
    vi.stubGlobal("fetch", () => Promise.resolve(new Response(JSON.stringify({ code: "too_many", message: "" }), { status: 429 })));
    await live.open({ avatar_id: "a1" });
    expect(live.state()).toMatchObject({ name: "failed", error: { code: "too_many" }, session: null });
  });

  it("refuses to speak without a session", async () => {
    await expect(new LiveConnection().say("x", "say", false)).rejects.toMatchObject({ code: "conflict" });
  });
});

describe("client meter", () => {
  it("makes rates of counters, and starts anew when they do", async () => {
    const entries = (framesDecoded: number, bytesReceived: number) =>
      ({ getStats: () => Promise.resolve([{ type: "inbound-rtp", kind: "video", framesDecoded, bytesReceived, packetsLost: 2, jitter: 0.004 }]) }) as unknown as RTCPeerConnection;
    const meter = new ClientMeter();
    expect(await meter.read(entries(10, 1000), 0)).toBeNull();
    expect(await meter.read(entries(60, 251_000), 2000)).toEqual({ fps: 25, kbps: 1000, lost: 2, jitterMs: 4, behindMs: null });
    expect(await meter.read(entries(5, 0), 3000)).toBeNull();
  });

  it("does the same for a stream over a WebSocket, and says how far it is behind", () => {
    const meter = new ClientMeter();
    const player = (frames: number, bytes: number) => ({ counters: () => ({ frames, bytes, dropped: 1, behindMs: 240 }) });
    expect(meter.readPlayer({ counters: () => null }, 0)).toBeNull();
    expect(meter.readPlayer(player(10, 1000), 1000)).toBeNull();
    expect(meter.readPlayer(player(60, 251_000), 3000)).toEqual({ fps: 25, kbps: 1000, lost: 1, jitterMs: null, behindMs: 240 });
  });
});

/** One live session as this page sees it: opens or joins it, holds the WebRTC connection, and speaks through it. */
import { api, must } from "../../api/client";
import { ApiError } from "../../api/errors";
import type { Session, SessionCreate, Trouble } from "../../api/types";
import { WatchPlayer } from "./watch_player";

export type LiveState =
  | { readonly name: "idle" }
  | { readonly name: "opening" }
  | { readonly name: "connecting"; readonly session: Session }
  | { readonly name: "live"; readonly session: Session; readonly stream: MediaStream }
  /** Live without WebRTC; `trouble` is why, once the studio has named a cause. */
  | { readonly name: "live"; readonly session: Session; readonly stream: null; readonly player: WatchPlayer; readonly trouble: Trouble | null }
  | { readonly name: "failed"; readonly error: unknown; readonly session: Session | null; readonly trouble: Trouble | null };

/** Gathering of candidates is given this long; what is known by then goes into the offer. */
const GATHER_MS = 1500;
/** WebRTC is given this long to connect; then the picture comes over a WebSocket. */
const CONNECT_MS = 6000;
/** How often, and how many times, the studio is asked why. */
const ASK_MS = 2500;
const ASK_TIMES = 8;

export class LiveConnection {
  private current: LiveState = { name: "idle" };
  private peer: RTCPeerConnection | null = null;
  private voice: RTCRtpSender | null = null;
  private player: WatchPlayer | null = null;
  private patience: number | undefined;
  private readonly listeners = new Set<() => void>();
  /** Raised by every start and stop, so that an answer that comes too late is dropped. */
  private round = 0;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly state = (): LiveState => this.current;

  get connection(): RTCPeerConnection | null {
    return this.peer;
  }

  /** Sends this sound to the session, or nothing. */
  async speakThrough(track: MediaStreamTrack | null): Promise<void> {
    if (this.voice === null) throw new ApiError(409, "conflict", "");
    await this.voice.replaceTrack(track);
  }

  /** Opens a session and connects to it. */
  async open(wanted: SessionCreate): Promise<void> {
    await this.begin(() => must(api().POST("/api/v1/live/sessions", { body: wanted })));
  }

  /** Connects to a session that is open already. */
  async join(session: Session): Promise<void> {
    await this.begin(() => Promise.resolve(session));
  }

  async say(text: string, mode: "say" | "chat", interrupt: boolean): Promise<number> {
    const params = { path: { session_id: this.sessionId() } };
    const body = { text, interrupt };
    const turn =
      mode === "say"
        ? await must(api().POST("/api/v1/live/sessions/{session_id}:say", { params, body }))
        : await must(api().POST("/api/v1/live/sessions/{session_id}:chat", { params, body }));
    return turn.turn;
  }

  async interrupt(): Promise<void> {
    await must(api().POST("/api/v1/live/sessions/{session_id}:interrupt", { params: { path: { session_id: this.sessionId() } } }));
  }

  /** Ends the session for everybody. */
  async close(): Promise<void> {
    const session = "session" in this.current ? this.current.session : null;
    this.leave();
    if (session !== null) await endSession(session.id);
  }

  /** Lets the connection go; the session itself stays open. */
  leave(): void {
    this.round += 1;
    this.hangUp();
    this.player?.close();
    this.player = null;
    this.become({ name: "idle" });
  }

  private async begin(find: () => Promise<Session>): Promise<void> {
    this.leave();
    const round = this.round;
    let session: Session | null = null;
    this.become({ name: "opening" });
    try {
      session = await find();
      if (round !== this.round) {
        await endSession(session.id);
        return;
      }
      this.become({ name: "connecting", session });
      await this.connect(session, round);
    } catch (error) {
      if (round === this.round) this.become({ name: "failed", error, session, trouble: null });
    }
  }

  private async connect(session: Session, round: number): Promise<void> {
    const { ice_servers, relay_only } = await must(
      api().GET("/api/v1/live/sessions/{session_id}/connection", { params: { path: { session_id: session.id } } }),
    );
    if (round !== this.round) return;
    const peer = new RTCPeerConnection({
      iceServers: ice_servers.map(({ urls, username, credential }) => ({ urls, username: username ?? undefined, credential: credential ?? undefined })),
      iceTransportPolicy: relay_only ? "relay" : "all",
    });
    this.peer = peer;
    const stream = new MediaStream();
    // Both ways, with nothing to send until somebody opens the microphone: no new offer is needed then.
    this.voice = peer.addTransceiver("audio", { direction: "sendrecv" }).sender;
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = ({ track }) => stream.addTrack(track);
    peer.onconnectionstatechange = () => {
      if (this.peer !== peer) return;
      if (peer.connectionState === "connected") {
        window.clearTimeout(this.patience);
        this.become({ name: "live", session, stream });
      }
      if (peer.connectionState === "failed") this.fallBack(session, round);
    };
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    if (round !== this.round) return;
    if (!(peer.localDescription?.sdp ?? "").includes("a=candidate") && WatchPlayer.supported()) {
      this.fallBack(session, round);
      return;
    }
    this.patience = window.setTimeout(() => this.fallBack(session, round), CONNECT_MS);
    const answer = await must(
      api().POST("/api/v1/live/sessions/{session_id}/offer", {
        params: { path: { session_id: session.id } },
        body: { sdp: peer.localDescription?.sdp ?? "", type: "offer" },
      }),
    );
    if (round === this.round) await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  /** Goes on over a WebSocket where WebRTC finds no way, and asks the studio what it thinks is in the way. */
  private fallBack(session: Session, round: number): void {
    if (round !== this.round || this.player !== null) return;
    this.hangUp();
    if (WatchPlayer.supported()) {
      // The stage starts it: a stream is played from its beginning, by the element that shows it.
      const player = new WatchPlayer(session.id, (error) => {
        if (round !== this.round) return;
        this.player = null;
        this.become({ name: "failed", error, session, trouble: "trouble" in this.current ? this.current.trouble : null });
      });
      this.player = player;
      this.become({ name: "live", session, stream: null, player, trouble: null });
    } else {
      this.become({ name: "failed", error: new ApiError(0, "unavailable", ""), session, trouble: null });
    }
    void this.explain(session.id, round);
  }

  private async explain(sessionId: string, round: number): Promise<void> {
    const trouble = await whyNot(sessionId).catch(() => null); // without a cause the general words stay
    if (trouble !== null && round === this.round && "trouble" in this.current) this.become({ ...this.current, trouble });
  }

  private hangUp(): void {
    window.clearTimeout(this.patience);
    this.peer?.close();
    this.peer = null;
    this.voice = null;
  }

  private sessionId(): string {
    if (!("session" in this.current) || this.current.session === null) throw new ApiError(409, "conflict", "");
    return this.current.session.id;
  }

  private become(state: LiveState): void {
    this.current = state;
    for (const listener of this.listeners) listener();
  }
}

/** The cause the studio found for the last connection that failed. It knows of one only after it has given up itself. */
async function whyNot(sessionId: string): Promise<Trouble | null> {
  for (let asked = 0; asked < ASK_TIMES; asked += 1) {
    const { clients } = await must(api().GET("/api/v1/live/sessions/{session_id}/connection", { params: { path: { session_id: sessionId } } }));
    const trouble = clients.findLast((client) => client.trouble !== null)?.trouble;
    if (trouble != null) return trouble;
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
  return null;
}

export async function endSession(id: string): Promise<void> {
  try {
    await must(api().DELETE("/api/v1/live/sessions/{session_id}", { params: { path: { session_id: id } } }));
  } catch (error) {
    // It has ended by itself meanwhile.
    if (!(error instanceof ApiError && (error.status === 404 || error.status === 409))) throw error;
  }
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The page's one connection: it outlives page changes, so that looking at the tasks does not end a broadcast. */
export const live = new LiveConnection();

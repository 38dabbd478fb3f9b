/** Which microphone and speaker this page uses: a choice of this browser, not of the studio. */
import { useEffect, useState } from "react";

const KEYS = { microphone: "studio.microphone", speaker: "studio.speaker" } as const;
export type DeviceRole = keyof typeof KEYS;

/** The device chosen; null for the system's own. */
export function chosenDevice(role: DeviceRole): string | null {
  return localStorage.getItem(KEYS[role]);
}

export function chooseDevice(role: DeviceRole, id: string | null): void {
  if (id === null) localStorage.removeItem(KEYS[role]);
  else localStorage.setItem(KEYS[role], id);
}

/** What to ask `getUserMedia` for: the avatar's own voice must not come back through the microphone. */
export function microphoneConstraints(): MediaStreamConstraints {
  const id = chosenDevice("microphone");
  return { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1, ...(id === null ? {} : { deviceId: { ideal: id } }) } };
}

export interface Devices {
  readonly inputs: readonly MediaDeviceInfo[];
  readonly outputs: readonly MediaDeviceInfo[];
  /** Names are told only once the microphone was allowed. */
  readonly named: boolean;
  readonly refresh: () => void;
}

const real = (device: MediaDeviceInfo) => device.deviceId !== "" && device.deviceId !== "default" && device.deviceId !== "communications";

/** The devices there are now; follows plugging in and out. */
export function useDevices(): Devices {
  const [devices, setDevices] = useState<readonly MediaDeviceInfo[]>([]);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const media = navigator.mediaDevices as MediaDevices | undefined;
    if (media === undefined) return;
    let current = true;
    const read = () => void media.enumerateDevices().then((found) => current && setDevices(found));
    read();
    media.addEventListener("devicechange", read);
    return () => {
      current = false;
      media.removeEventListener("devicechange", read);
    };
  }, [round]);
  return {
    inputs: devices.filter((device) => device.kind === "audioinput" && real(device)),
    outputs: devices.filter((device) => device.kind === "audiooutput" && real(device)),
    named: devices.some((device) => device.label !== ""),
    refresh: () => setRound((known) => known + 1),
  };
}

import { useTranslation } from "react-i18next";
import type { Avatar } from "../api/types";
import { Tag, type Tone } from "./Tag";

const TONES: Record<Avatar["state"], Tone> = { making: "info", preview: "info", in_review: "warning", ready: "ok", retired: "idle" };

export function AvatarTag({ state }: { state: Avatar["state"] }) {
  const { t } = useTranslation();
  return <Tag tone={TONES[state]}>{t(`avatarState.${state}`)}</Tag>;
}

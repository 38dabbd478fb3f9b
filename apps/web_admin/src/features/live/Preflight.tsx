import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import type { Avatar } from "../../api/types";
import { Icon } from "../../components/Icon";
import { Tag, type Tone } from "../../components/Tag";
import { useBilingual } from "../../i18n/bilingual";

type State = "ok" | "warning" | "error";
interface Line {
  readonly id: string;
  readonly state: State;
  readonly title: string;
  readonly text: string;
}

const RANK = { ok: 0, warning: 1, error: 2 } as const;
const OF_INTEREST = new Set(["disk", "memory", "cpu", "worker", "virtual_camera", "gpu", "microphone", "licence", "weights"]);
/** What a broadcast can do without; said, but never a reason to wait. */
const OPTIONAL = new Set(["virtual_camera", "gpu"]);

/** What to know before going live with an avatar, worst first. */
export function usePreflight(avatar: Avatar | undefined): readonly Line[] {
  const { t } = useTranslation();
  const bilingual = useBilingual();
  const checks = useQuery(queries.checks());
  const sessions = useQuery(queries.sessions());
  const capabilities = useQuery(queries.capabilities());
  const settings = useQuery(queries.settings());
  const jobs = useQuery(queries.jobs());
  const lines: Line[] = [];
  if (avatar !== undefined) {
    const preview = avatar.state === "preview";
    lines.push({ id: "avatar", state: preview ? "warning" : "ok", title: t("floor.preflight.avatar"), text: preview ? t("floor.preflight.preview") : t("floor.preflight.trained") });
  }
  const most = capabilities.data?.limits.sessions;
  if (most !== undefined && sessions.data !== undefined) {
    const count = sessions.data.length;
    const full = count >= most;
    lines.push({ id: "room", state: full ? "error" : "ok", title: t("floor.preflight.room"), text: t(full ? "floor.preflight.full" : "floor.preflight.free", { count, most }) });
  }
  if (jobs.data !== undefined && settings.data !== undefined) {
    const training = jobs.data.some((job) => job.kind.endsWith(":train") && job.state === "running");
    const yields = settings.data.training_yields_to_live;
    const text = !training ? t("floor.preflight.notTraining") : yields ? t("floor.preflight.pauses") : t("floor.preflight.competes");
    lines.push({ id: "training", state: training && !yields ? "warning" : "ok", title: t("floor.preflight.training"), text });
  }
  for (const check of checks.data?.checks ?? []) {
    if (!OF_INTEREST.has(check.id)) continue;
    const state = OPTIONAL.has(check.id) ? "ok" : check.state;
    const remedy = check.state === "ok" ? "" : ` · ${bilingual(check.remedy)}`;
    lines.push({ id: check.id, state, title: bilingual(check.title), text: `${bilingual(check.message)}${remedy}` });
  }
  return lines.sort((a, b) => RANK[b.state] - RANK[a.state]);
}

const TONES: Record<State, Tone> = { ok: "ok", warning: "warning", error: "error" };
const TITLES = { ok: "floor.preflight.ready", warning: "floor.preflight.look", error: "floor.preflight.stop" } as const;

/** The checks before a broadcast: one line that sums them up, and each below it on request. */
export function Preflight({ lines }: { lines: readonly Line[] }) {
  const { t } = useTranslation();
  const worst = lines[0]?.state ?? "ok";
  if (lines.length === 0) return null;
  return (
    <details className={`note tone-${TONES[worst]}`} open={worst === "error"} data-preflight={worst}>
      <summary className="note-title" style={{ cursor: "pointer" }}>
        {t(TITLES[worst])}
      </summary>
      <Stack gap={6} mt="sm" component="ul" p={0} mb={0} style={{ listStyle: "none" }}>
        {lines.map((line) => (
          <Group key={line.id} component="li" gap="xs" wrap="nowrap" align="flex-start">
            <Tag tone={TONES[line.state]}>
              <Icon name={line.state} size={14} />
            </Tag>
            <Text size="sm">
              <b>{line.title}</b> {line.text}
            </Text>
          </Group>
        ))}
      </Stack>
    </details>
  );
}

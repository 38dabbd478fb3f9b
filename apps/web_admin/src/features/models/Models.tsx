import { Button, Group, Modal, Select, Stack, Text, Textarea, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Model } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { Empty } from "../../components/Empty";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { Note } from "../../components/Note";
import { PageHead } from "../../components/PageHead";
import { Tag } from "../../components/Tag";
import { useFormat } from "../../i18n/format";
import { Metrics } from "../make/Metrics";
import { act, type Act, actsFor, TONES } from "./acts";
import { lineageOf } from "./compare";
import { Evaluation } from "./Evaluation";
import { Versions } from "./Versions";

const KINDS = ["avatar", "voice", "base"] as const;
const STATES = ["in_review", "ready", "candidate", "retired"] as const;
const ALL = "";

interface ReviewProps {
  readonly model: Model;
  readonly what: "approve" | "reject";
  readonly onClose: () => void;
}

function Review({ model, what, onClose }: ReviewProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [note, setNote] = useState("");
  const review = useMutation({
    mutationFn: () => act(model.id, what, note.trim()),
    onSuccess: () => {
      void client.invalidateQueries();
      onClose();
    },
  });
  const title = t(`library.reviewTitle.${what}`, { name: `${model.name} · ${model.version}` });
  return (
    <Modal opened onClose={onClose} title={title} centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <Textarea label={t("library.note")} autosize minRows={2} maxLength={300} data-autofocus value={note} onChange={(event) => setNote(event.currentTarget.value)} />
        {review.isError && <ErrorNote error={review.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button color={what === "reject" ? "red.9" : undefined} loading={review.isPending} onClick={() => review.mutate()}>
            {t(`models.${what}`)}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Lineage({ model, all }: { model: Model; all: readonly Model[] }) {
  const { t } = useTranslation();
  const chain = lineageOf(model, all);
  if (chain.length < 2 && model.take_ids.length === 0) return null;
  return (
    <Text size="sm" c="dimmed">
      {t("library.lineage")}: {chain.map((row) => row.version).join(" ← ")}
      {model.take_ids.length > 0 && ` ← ${t("library.lineageTake", { count: model.take_ids.length })}`}
    </Text>
  );
}

function ModelRow({ model, all }: { model: Model; all: readonly Model[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const [reviewing, setReviewing] = useState<"approve" | "reject" | null>(null);
  const [asking, setAsking] = useState(false);
  const [comparing, setComparing] = useState(false);
  const doing = useMutation({ mutationFn: (what: Act) => act(model.id, what), onSuccess: () => client.invalidateQueries() });
  const remove = useMutation({
    mutationFn: () => must(api().DELETE("/api/v1/models/{model_id}", { params: { path: { model_id: model.id } } })),
    onSuccess: () => client.invalidateQueries(),
    onSettled: () => setAsking(false),
  });
  const name = `${model.name} · ${model.version}`;
  const versions = all.filter((other) => other.owner_id === model.owner_id).length;
  return (
    <Stack className="panel" p="md" gap="sm" component="article" data-model={model.id}>
      <Group justify="space-between">
        <div>
          <Group gap="sm">
            <Title order={2} size="h6">
              {name}
            </Title>
            <Tag tone={TONES[model.state]}>{t(`modelState.${model.state}`)}</Tag>
            {model.live && <Tag tone="info">{t("models.live")}</Tag>}
          </Group>
          <Text size="sm" c="dimmed">
            {t(`models.${model.kind}`)} · {model.engine} · {format.when(model.created_at)}
          </Text>
        </div>
        <Group gap="xs">
          {actsFor(model).map((what) => (
            <Button
              key={what}
              size="xs"
              variant={what === "approve" ? "filled" : "default"}
              loading={doing.isPending}
              onClick={() => (what === "approve" || what === "reject" ? setReviewing(what) : doing.mutate(what))}
            >
              {t(`models.${what}`)}
            </Button>
          ))}
          {versions > 1 && (
            <Button size="xs" variant="default" aria-label={`${t("library.compare")}: ${name}`} onClick={() => setComparing(true)}>
              {t("library.compare")}
            </Button>
          )}
          {!model.live && (
            <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={`${t("common.delete")}: ${name}`} onClick={() => setAsking(true)}>
              {t("common.delete")}
            </Button>
          )}
        </Group>
      </Group>
      <Metrics metrics={model.metrics} />
      {model.kind !== "base" && <Evaluation model={model} />}
      {model.reasons.length > 0 && (
        <Text size="sm" lang="en">
          {model.reasons.join(" · ")}
        </Text>
      )}
      {model.note !== "" && <Text size="sm">{model.note}</Text>}
      <Lineage model={model} all={all} />
      {doing.isError && <ErrorNote error={doing.error} />}
      {remove.isError && <ErrorNote error={remove.error} />}
      {reviewing !== null && <Review model={model} what={reviewing} onClose={() => setReviewing(null)} />}
      {comparing && <Versions ownerId={model.owner_id} name={model.name} onClose={() => setComparing(false)} />}
      <Confirm
        opened={asking}
        title={t("avatars.deleteTitle", { name })}
        consequence={t("library.deleteModel")}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onClose={() => setAsking(false)}
      />
    </Stack>
  );
}

/** Every trained version, its figures and where it stands; what waits for a decision comes first. */
export function Models() {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const models = useQuery(queries.models());
  const kind = KINDS.find((name) => name === params.get("kind")) ?? null;
  const state = STATES.find((name) => name === params.get("state")) ?? null;
  const change = (name: "kind" | "state", value: string | null) => {
    if (value === null || value === ALL) params.delete(name);
    else params.set(name, value);
    setParams(params, { replace: true });
  };
  return (
    <>
      <PageHead title={t("models.title")} lead={t("models.lead")}>
        <Select aria-label={t("tasks.kind")} value={kind ?? ALL} allowDeselect={false} onChange={(value) => change("kind", value)} data={[{ value: ALL, label: t("library.allKinds") }, ...KINDS.map((name) => ({ value: name, label: t(`models.${name}`) }))]} />
        <Select aria-label={t("tasks.state")} value={state ?? ALL} allowDeselect={false} onChange={(value) => change("state", value)} data={[{ value: ALL, label: t("library.allStates") }, ...STATES.map((name) => ({ value: name, label: t(`modelState.${name}`) }))]} />
      </PageHead>
      <Loaded query={models}>
        {(rows) => {
          const waiting = rows.filter((model) => model.state === "in_review").length;
          const shown = rows.filter((model) => (kind === null || model.kind === kind) && (state === null || model.state === state));
          return shown.length === 0 ? (
            <Empty icon="models" title={t("models.emptyTitle")} text={t("models.emptyText")} />
          ) : (
            <Stack gap="sm">
              {waiting > 0 && <Note tone="warning" title={t("library.review", { count: waiting })} />}
              {[...shown]
                .sort((a, b) => Number(b.state === "in_review") - Number(a.state === "in_review"))
                .map((model) => (
                  <ModelRow key={model.id} model={model} all={rows} />
                ))}
            </Stack>
          );
        }}
      </Loaded>
    </>
  );
}

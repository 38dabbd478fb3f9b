import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Model } from "../../api/types";
import { Empty } from "../../components/Empty";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { Tag, type Tone } from "../../components/Tag";
import { useFormat } from "../../i18n/format";
import { Metrics } from "../make/Metrics";

const TONES: Record<Model["state"], Tone> = { candidate: "info", in_review: "warning", ready: "ok", retired: "idle" };

type Act = "approve" | "reject" | "promote" | "rollback";

function act(id: string, what: Act): Promise<Model> {
  const params = { path: { model_id: id } };
  switch (what) {
    case "approve":
      return must(api().POST("/api/v1/models/{model_id}:approve", { params, body: { note: "" } }));
    case "reject":
      return must(api().POST("/api/v1/models/{model_id}:reject", { params, body: { note: "" } }));
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
  return model.state === "ready" ? ["promote"] : [];
}

function ModelRow({ model }: { model: Model }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const doing = useMutation({
    mutationFn: (what: Act) => act(model.id, what),
    onSuccess: () => client.invalidateQueries(),
  });
  return (
    <Stack className="panel" p="md" gap="sm" component="article">
      <Group justify="space-between">
        <div>
          <Group gap="sm">
            <Title order={2} size="h6">
              {model.name} · {model.version}
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
            <Button key={what} size="xs" variant={what === "approve" ? "filled" : "default"} loading={doing.isPending} onClick={() => doing.mutate(what)}>
              {t(`models.${what}`)}
            </Button>
          ))}
        </Group>
      </Group>
      <Metrics metrics={model.metrics} />
      {doing.isError && <ErrorNote error={doing.error} />}
    </Stack>
  );
}

/** Every trained version, its figures and where it stands; what waits for a decision comes first. */
export function Models() {
  const { t } = useTranslation();
  const models = useQuery(queries.models());
  return (
    <>
      <PageHead title={t("models.title")} lead={t("models.lead")} />
      <Loaded query={models}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="models" title={t("models.emptyTitle")} text={t("models.emptyText")} />
          ) : (
            <Stack gap="sm">
              {[...rows]
                .sort((a, b) => Number(b.state === "in_review") - Number(a.state === "in_review"))
                .map((model) => (
                  <ModelRow key={model.id} model={model} />
                ))}
            </Stack>
          )
        }
      </Loaded>
    </>
  );
}

import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Take } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { Empty } from "../../components/Empty";
import { ErrorNote } from "../../components/ErrorNote";
import { LinkButton } from "../../components/LinkButton";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { Tag, type Tone } from "../../components/Tag";
import { useFormat } from "../../i18n/format";

const TONES: Record<Take["state"], Tone> = { checking: "info", rejected: "error", preparing: "info", prepared: "ok", failed: "error" };

function TakeRow({ take }: { take: Take }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const [asking, ask] = useDisclosure();
  const remove = useMutation({
    mutationFn: () => must(api().DELETE("/api/v1/takes/{take_id}", { params: { path: { take_id: take.id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["takes"] }),
    onSettled: ask.close,
  });
  const [withdrawing, askWithdrawal] = useDisclosure();
  const withdraw = useMutation({
    mutationFn: () => must(api().POST("/api/v1/takes/{take_id}:withdraw", { params: { path: { take_id: take.id } } })),
    onSuccess: () => client.invalidateQueries(),
    onSettled: askWithdrawal.close,
  });
  const { consent } = take;
  return (
    <Stack className="panel" p="md" gap="sm" component="article">
      <Group justify="space-between">
        <div>
          <Group gap="sm">
            <Title order={2} size="h6">
              {take.name}
            </Title>
            <Tag tone={TONES[take.state]}>{t(`takeState.${take.state}`)}</Tag>
            {consent.withdrawn_at !== null && <Tag tone="error">{t("takes.withdrawn")}</Tag>}
          </Group>
          <Text size="sm" c="dimmed">
            {consent.person} · {consent.scope.map((scope) => t(`scope.${scope}`)).join(t("common.comma"))} ·{" "}
            {format.bytes(take.size_bytes)} · {format.when(take.created_at)}
          </Text>
          {(consent.purpose !== "" || consent.until !== null) && (
            <Text size="sm" c="dimmed">
              {[consent.purpose, consent.until === null ? "" : t("takes.until", { when: format.when(consent.until) })]
                .filter((part) => part !== "")
                .join(" · ")}
            </Text>
          )}
        </div>
        <Group gap="xs">
          <LinkButton size="xs" to={`/make/${take.id}`}>
            {t("takes.open")}
          </LinkButton>
          {consent.withdrawn_at === null && (
            <Button size="xs" variant="default" onClick={askWithdrawal.open}>
              {t("takes.withdraw")}
            </Button>
          )}
          <Button size="xs" variant="default" c="var(--mantine-color-error)" onClick={ask.open}>
            {t("common.delete")}
          </Button>
        </Group>
      </Group>
      {remove.isError && <ErrorNote error={remove.error} />}
      {withdraw.isError && <ErrorNote error={withdraw.error} />}
      <Confirm
        opened={withdrawing}
        title={t("takes.withdrawTitle", { person: consent.person })}
        consequence={t("takes.withdrawText")}
        action={t("takes.withdraw")}
        busy={withdraw.isPending}
        onConfirm={() => withdraw.mutate()}
        onClose={askWithdrawal.close}
      />
      <Confirm
        opened={asking}
        title={t("takes.deleteTitle", { name: take.name })}
        consequence={t("takes.deleteText")}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onClose={ask.close}
      />
    </Stack>
  );
}

export function Takes() {
  const { t } = useTranslation();
  const takes = useQuery(queries.takes());
  return (
    <>
      <PageHead title={t("takes.title")} lead={t("takes.lead")}>
        <LinkButton to="/make">{t("takes.add")}</LinkButton>
      </PageHead>
      <Loaded query={takes}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="takes" title={t("takes.emptyTitle")} text={t("takes.emptyText")}>
              <LinkButton to="/make">{t("takes.add")}</LinkButton>
            </Empty>
          ) : (
            <Stack gap="sm">
              {rows.map((take) => (
                <TakeRow key={take.id} take={take} />
              ))}
            </Stack>
          )
        }
      </Loaded>
    </>
  );
}

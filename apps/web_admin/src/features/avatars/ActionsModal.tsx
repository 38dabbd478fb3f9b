import { Button, Checkbox, Group, Modal, RangeSlider, Select, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Action, ActionCreate, Avatar, Take } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { useFormat } from "../../i18n/format";
import { lengthOf } from "../make/length";
import { pictureOf } from "../make/picture";

const SPEECHES = ["drive", "hold", "wait"] as const satisfies readonly NonNullable<ActionCreate["speech"]>[];
/** The control API refuses shorter ones: nothing is left between the dissolves. */
const SHORTEST_S = 0.48;

function Moment({ take, seconds, label }: { take: Take; seconds: number; label: string }) {
  const format = useFormat();
  const [settled] = useDebouncedValue(seconds, 150);
  return (
    <figure style={{ margin: 0 }}>
      <img className="picture" src={pictureOf(take, settled, "keyed", 360)} alt={label} />
      <Text component="figcaption" size="sm" c="dimmed">
        {label} · {format.number(seconds, 2)} s
      </Text>
    </figure>
  );
}

function Cut({ avatar, takes }: { avatar: Avatar; takes: readonly Take[] }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [takeId, setTakeId] = useState(takes.find((take) => take.id === avatar.take_id)?.id ?? takes[0]?.id ?? "");
  const take = takes.find((row) => row.id === takeId);
  const length = take === undefined ? 0 : lengthOf(take);
  const [range, setRange] = useState<[number, number]>([0, Math.min(2, length)]);
  const [name, setName] = useState("");
  const [keywords, setKeywords] = useState("");
  const [sound, setSound] = useState(false);
  const [speech, setSpeech] = useState<(typeof SPEECHES)[number]>("drive");
  const add = useMutation({
    mutationFn: () => {
      const words = keywords.split(/[,，]/).map((word) => word.trim()).filter((word) => word !== "");
      const body = { name: name.trim(), take_id: takeId, start_s: range[0], end_s: range[1], keywords: words, sound, speech };
      return must(api().POST("/api/v1/avatars/{avatar_id}/actions", { params: { path: { avatar_id: avatar.id } }, body }));
    },
    onSuccess: () => {
      setName("");
      setKeywords("");
      return client.invalidateQueries({ queryKey: ["avatars", avatar.id, "actions"] });
    },
  });
  if (take === undefined) return null;
  return (
    <Stack gap="sm">
      {takes.length > 1 && <Select label={t("actions.take")} value={takeId} allowDeselect={false} onChange={(value) => setTakeId(value ?? takeId)} data={takes.map((row) => ({ value: row.id, label: row.name }))} />}
      <SimpleGrid cols={2}>
        <Moment take={take} seconds={range[0]} label={t("actions.begins")} />
        <Moment take={take} seconds={range[1]} label={t("actions.ends")} />
      </SimpleGrid>
      <RangeSlider
        aria-label={t("actions.range")}
        min={0}
        max={Math.max(SHORTEST_S, length - 0.04)}
        step={0.04}
        minRange={SHORTEST_S}
        label={(value) => `${value.toFixed(2)} s`}
        thumbFromLabel={t("actions.from")}
        thumbToLabel={t("actions.to")}
        value={range}
        onChange={setRange}
      />
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <TextInput label={t("actions.name")} maxLength={120} value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <TextInput label={t("actions.keywords")} placeholder={t("actions.keywordsHint")} maxLength={300} value={keywords} onChange={(event) => setKeywords(event.currentTarget.value)} />
        <Select label={t("actions.speech")} value={speech} allowDeselect={false} onChange={(value) => setSpeech(SPEECHES.find((known) => known === value) ?? "drive")} data={SPEECHES.map((known) => ({ value: known, label: t(`actions.speeches.${known}`) }))} />
        <Checkbox mt={30} label={t("actions.sound")} checked={sound} onChange={(event) => setSound(event.currentTarget.checked)} />
      </SimpleGrid>
      {add.isError && <ErrorNote error={add.error} />}
      <Group justify="space-between">
        <Text size="sm" c="dimmed" role={add.isSuccess ? "status" : undefined}>
          {t("actions.added")}
        </Text>
        <Button loading={add.isPending} disabled={name.trim() === ""} onClick={() => add.mutate()}>
          {t("actions.add")}
        </Button>
      </Group>
    </Stack>
  );
}

/** An avatar's gestures: what there is, and how another one is cut out of a take. */
export function ActionsModal({ avatar, onClose }: { avatar: Avatar; onClose: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const actions = useQuery(queries.actions(avatar.id));
  const takes = useQuery(queries.takes());
  const [asking, setAsking] = useState<Action | null>(null);
  const remove = useMutation({
    mutationFn: (id: string) => must(api().DELETE("/api/v1/avatars/{avatar_id}/actions/{action_id}", { params: { path: { avatar_id: avatar.id, action_id: id } } })),
    onSettled: () => {
      setAsking(null);
      void client.invalidateQueries({ queryKey: ["avatars", avatar.id, "actions"] });
    },
  });
  return (
    <Modal opened onClose={onClose} title={t("actions.title", { name: avatar.name })} size="lg" centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <Text size="sm" c="dimmed">
          {t("actions.lead")}
        </Text>
        <Loaded query={actions}>
          {(rows) =>
            rows.length === 0 ? (
              <Text size="sm">{t("actions.none")}</Text>
            ) : (
              <Stack gap="xs" component="ul" p={0} m={0} style={{ listStyle: "none" }}>
                {rows.map((row) => (
                  <Group key={row.id} component="li" justify="space-between" wrap="nowrap" data-action={row.name}>
                    <Text size="sm">
                      <b>{row.name}</b> · {t("actions.seconds", { seconds: format.number(row.seconds, 1) })}
                      {row.keywords.length > 0 && ` · ${row.keywords.join(t("common.comma"))}`}
                    </Text>
                    <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={`${t("common.delete")}: ${row.name}`} onClick={() => setAsking(row)}>
                      {t("common.delete")}
                    </Button>
                  </Group>
                ))}
              </Stack>
            )
          }
        </Loaded>
        {remove.isError && <ErrorNote error={remove.error} />}
        <Loaded query={takes}>{(rows) => <Cut avatar={avatar} takes={rows.filter((take) => take.state === "prepared" && take.preview_url != null)} />}</Loaded>
      </Stack>
      <Confirm
        opened={asking !== null}
        title={t("actions.deleteTitle", { name: asking?.name ?? "" })}
        consequence={t("actions.deleteText")}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => asking !== null && remove.mutate(asking.id)}
        onClose={() => setAsking(null)}
      />
    </Modal>
  );
}

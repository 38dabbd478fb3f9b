import { Button, Group, Modal, NumberInput, Progress, Stack, Table, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Storage, StorageClean } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { useFormat } from "../../i18n/format";
import { useSettings } from "./use_settings";

const CLEANABLE = ["results", "recordings", "uploads", "logs"] as const satisfies readonly StorageClean["kinds"][number][];
type Cleanable = (typeof CLEANABLE)[number];
const DAYS = 30;
const MIB = 2 ** 20;

function CleanModal({ kind, onClose }: { kind: Cleanable; onClose: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const [days, setDays] = useState<number>(DAYS);
  const clean = useMutation({
    mutationFn: () => must(api().POST("/api/v1/system/storage:clean", { body: { kinds: [kind], older_than_days: days } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["storage"] }),
  });
  const name = t(`settings.storage.kinds.${kind}`);
  return (
    <Modal opened onClose={onClose} title={t("settings.storage.cleanTitle", { kind: name })} centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <NumberInput label={t("settings.storage.older")} min={0} max={3650} clampBehavior="strict" hideControls value={days} onChange={(value) => setDays(Number(value) || 0)} data-autofocus />
        <Text size="sm">{t(`settings.storage.consequence.${kind}`)}</Text>
        {clean.isError && <ErrorNote error={clean.error} />}
        {clean.data !== undefined && (
          <Text size="sm" role="status" fw={600}>
            {t("settings.storage.freed", { size: format.bytes(clean.data.freed) })}
          </Text>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("common.close")}
          </Button>
          <Button color="red.9" loading={clean.isPending} onClick={() => clean.mutate()}>
            {t("settings.storage.clean")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Usage({ storage, onClean }: { storage: Storage; onClean: (kind: Cleanable) => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <Table verticalSpacing="xs">
      <Table.Tbody>
        {storage.kinds.map((part) => {
          const cleanable = CLEANABLE.find((kind) => kind === part.kind);
          const name = t(`settings.storage.kinds.${part.kind}`);
          return (
            <Table.Tr key={part.kind} data-storage={part.kind}>
              <Table.Th scope="row" fw={500}>
                {name}
              </Table.Th>
              <Table.Td ta="right">{format.bytes(part.bytes)}</Table.Td>
              <Table.Td c="dimmed">{t("settings.storage.files", { count: part.files })}</Table.Td>
              <Table.Td ta="right">
                {cleanable !== undefined && (
                  <Button size="xs" variant="default" disabled={part.files === 0} aria-label={`${t("settings.storage.clean")}: ${name}`} onClick={() => onClean(cleanable)}>
                    {t("settings.storage.clean")}
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}

/** What fills the disk, what may go, and how much must stay free. */
export function StorageSection() {
  const { t } = useTranslation();
  const format = useFormat();
  const storage = useQuery(queries.storage());
  const { query, change } = useSettings();
  const [cleaning, setCleaning] = useState<Cleanable | null>(null);
  return (
    <Loaded query={storage}>
      {(found) => (
        <Stack className="panel" gap="md">
          <Text size="sm" c="dimmed">
            {t("settings.storage.lead", { folder: "" })}{" "}
            <span className="mono" lang="en">
              {found.folder}
            </span>
          </Text>
          <div>
            <Progress value={(1 - found.free / found.total) * 100} aria-label={t("settings.tabs.storage")} mb={6} />
            <Text size="sm">{t("settings.storage.free", { free: format.bytes(found.free), total: format.bytes(found.total) })}</Text>
          </div>
          <Usage storage={found} onClean={setCleaning} />
          {query.data !== undefined && (
            <NumberInput
              maw={420}
              label={t("settings.storage.keep")}
              description={t("settings.storage.keepHint")}
              suffix=" MiB"
              min={64}
              clampBehavior="blur"
              hideControls
              value={Math.round(query.data.free_space / MIB)}
              onChange={(value) => typeof value === "number" && value >= 64 && change.mutate({ free_space: value * MIB })}
            />
          )}
          {change.isError && <ErrorNote error={change.error} />}
          {cleaning !== null && <CleanModal kind={cleaning} onClose={() => setCleaning(null)} />}
        </Stack>
      )}
    </Loaded>
  );
}

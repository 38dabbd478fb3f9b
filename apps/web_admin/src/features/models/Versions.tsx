import { Button, Checkbox, Group, Modal, Stack, Table, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import type { Model } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { Tag } from "../../components/Tag";
import { useFormat } from "../../i18n/format";
import { act, type Act, actsFor, TONES } from "./acts";
import { compareFigures } from "./compare";

function Comparison({ left, right }: { left: Model; right: Model }) {
  const { t } = useTranslation();
  const format = useFormat();
  const cell = (value: number | null, better: boolean) => (
    <Table.Td fw={better ? 700 : 400}>
      {value === null ? "–" : format.number(value, 3)} {better && <Tag tone="ok">{t("library.better")}</Tag>}
    </Table.Td>
  );
  return (
    <Table verticalSpacing={6} aria-label={t("library.compare")}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t("library.figure")}</Table.Th>
          <Table.Th>{left.version}</Table.Th>
          <Table.Th>{right.version}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {compareFigures(left.metrics, right.metrics).map((row) => (
          <Table.Tr key={row.name}>
            <Table.Th scope="row" fw={500}>
              {t(`metric.${row.name}`)}
            </Table.Th>
            {cell(row.left, row.better === "left")}
            {cell(row.right, row.better === "right")}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

interface VersionsProps {
  readonly ownerId: string;
  readonly name: string;
  readonly onClose: () => void;
}

/** All versions of an avatar or a voice: which is in use, what can be done with each, and two of them side by side. */
export function Versions({ ownerId, name, onClose }: VersionsProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const models = useQuery(queries.models());
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const doing = useMutation({ mutationFn: ([id, what]: readonly [string, Act]) => act(id, what), onSuccess: () => client.invalidateQueries() });
  const toggle = (id: string) => setChosen((known) => (known.includes(id) ? known.filter((other) => other !== id) : [...known, id].slice(-2)));
  return (
    <Modal opened onClose={onClose} title={t("library.versionsOf", { name })} size="xl" centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Loaded query={models}>
        {(all) => {
          const own = all.filter((model) => model.owner_id === ownerId);
          const [left, right] = chosen.map((id) => own.find((model) => model.id === id));
          return (
            <Stack>
              <Text size="sm" c="dimmed">
                {own.length === 0 ? t("library.noVersions") : own.length > 1 ? t("library.compareHint") : ""}
              </Text>
              {own.map((model) => (
                <Group key={model.id} justify="space-between" wrap="nowrap">
                  <Group gap="sm" wrap="nowrap">
                    {own.length > 1 && <Checkbox aria-label={`${t("library.compare")}: ${model.version}`} checked={chosen.includes(model.id)} onChange={() => toggle(model.id)} />}
                    <div>
                      <Group gap="xs">
                        <Text size="sm" fw={600}>
                          {model.version}
                        </Text>
                        <Tag tone={TONES[model.state]}>{t(`modelState.${model.state}`)}</Tag>
                        {model.live && <Tag tone="info">{t("models.live")}</Tag>}
                      </Group>
                      <Text size="sm" c="dimmed">
                        {format.when(model.created_at)}
                        {model.note !== "" && ` · ${model.note}`}
                      </Text>
                    </div>
                  </Group>
                  <Group gap="xs" wrap="nowrap">
                    {actsFor(model).map((what) => (
                      <Button key={what} size="xs" variant="default" loading={doing.isPending} onClick={() => doing.mutate([model.id, what])}>
                        {t(`models.${what}`)}
                      </Button>
                    ))}
                  </Group>
                </Group>
              ))}
              {doing.isError && <ErrorNote error={doing.error} />}
              {left !== undefined && right !== undefined && <Comparison left={left} right={right} />}
            </Stack>
          );
        }}
      </Loaded>
    </Modal>
  );
}

import { Button, Code, CopyButton, Group, Modal, NumberInput, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Token } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { Note } from "../../components/Note";
import { Tag } from "../../components/Tag";
import { useFormat } from "../../i18n/format";

const ROLES = ["operator", "auditor", "owner"] as const satisfies readonly Token["role"][];
const DAY_MS = 86_400_000;

function NewToken({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Token["role"]>("operator");
  const [days, setDays] = useState<number | string>("");
  const make = useMutation({
    mutationFn: () => {
      const until = Number(days) > 0 ? new Date(Date.now() + Number(days) * DAY_MS).toISOString() : null;
      return must(api().POST("/api/v1/tokens", { body: { name: name.trim(), role, until } }));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: ["tokens"] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  const secret = make.data?.token;
  return (
    <Modal opened onClose={onClose} title={t("access.new")} centered closeButtonProps={{ "aria-label": t("common.close") }}>
      {secret === undefined ? (
        <form onSubmit={submit}>
          <Stack>
            <TextInput label={t("access.name")} description={t("access.nameHint")} maxLength={120} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
            <Select
              label={t("access.role")}
              description={t(`access.may.${role}`)}
              inputWrapperOrder={["label", "input", "description"]}
              value={role}
              allowDeselect={false}
              onChange={(value) => setRole(ROLES.find((known) => known === value) ?? "operator")}
              data={ROLES.map((known) => ({ value: known, label: t(`access.roles.${known}`) }))}
            />
            <NumberInput label={t("access.days")} placeholder={t("access.never")} min={1} max={3650} clampBehavior="strict" hideControls value={days} onChange={setDays} />
            {make.isError && <ErrorNote error={make.error} />}
            <Group justify="flex-end">
              <Button type="submit" loading={make.isPending} disabled={name.trim() === ""}>
                {t("access.make")}
              </Button>
            </Group>
          </Stack>
        </form>
      ) : (
        <Stack>
          <Note tone="ok" title={t("access.made")}>
            <Text size="sm">{t("access.once")}</Text>
          </Note>
          <Code block lang="en" data-secret style={{ whiteSpace: "pre-wrap", wordBreak: "break-all" }}>
            {secret}
          </Code>
          <Group justify="flex-end">
            <CopyButton value={secret}>
              {({ copied, copy }) => (
                <Button variant="default" onClick={copy}>
                  {copied ? t("access.copied") : t("access.copy")}
                </Button>
              )}
            </CopyButton>
            <Button onClick={onClose}>{t("access.noted")}</Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

/** Who may call the studio: tokens with roles, made and ended by the owner. */
export function AccessSection() {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const me = useQuery(queries.whoAmI());
  const owner = me.data?.role === "owner";
  const tokens = useQuery({ ...queries.tokens(), enabled: owner });
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState<Token | null>(null);
  const revoke = useMutation({
    mutationFn: (id: string) => must(api().DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id: id } } })),
    onSettled: () => {
      setEnding(null);
      void client.invalidateQueries({ queryKey: ["tokens"] });
    },
  });
  return (
    <Stack className="panel" gap="md">
      <Text size="sm" c="dimmed">
        {t("access.lead")}
      </Text>
      <Loaded query={me}>
        {(caller) => (
          <Group gap="sm">
            <Text size="sm">{t("access.me")}</Text>
            <Tag tone="info">{t(`access.roles.${caller.role}`)}</Tag>
          </Group>
        )}
      </Loaded>
      {me.data !== undefined && !owner && <Text size="sm">{t("access.ownerOnly")}</Text>}
      {owner && (
        <Loaded query={tokens}>
          {(rows) =>
            rows.length === 0 ? (
              <Text size="sm">{t("access.none")}</Text>
            ) : (
              <Table verticalSpacing="xs" aria-label={t("access.title")}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>{t("access.name")}</Table.Th>
                    <Table.Th>{t("access.role")}</Table.Th>
                    <Table.Th>{t("access.since")}</Table.Th>
                    <Table.Th>{t("access.until")}</Table.Th>
                    <Table.Td />
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {rows.map((row) => (
                    <Table.Tr key={row.id} data-token={row.name}>
                      <Table.Th scope="row" fw={500}>
                        {row.name}
                      </Table.Th>
                      <Table.Td>{t(`access.roles.${row.role}`)}</Table.Td>
                      <Table.Td>{format.when(row.created_at)}</Table.Td>
                      <Table.Td>{row.until === null ? t("access.never") : format.when(row.until)}</Table.Td>
                      <Table.Td ta="right">
                        <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={`${t("access.revoke")}: ${row.name}`} onClick={() => setEnding(row)}>
                          {t("access.revoke")}
                        </Button>
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            )
          }
        </Loaded>
      )}
      {revoke.isError && <ErrorNote error={revoke.error} />}
      {owner && (
        <Button w="fit-content" onClick={() => setMaking(true)}>
          {t("access.new")}
        </Button>
      )}
      {making && <NewToken onClose={() => setMaking(false)} />}
      <Confirm
        opened={ending !== null}
        title={t("access.revokeTitle", { name: ending?.name ?? "" })}
        consequence={t("access.revokeText")}
        action={t("access.revoke")}
        busy={revoke.isPending}
        onConfirm={() => ending !== null && revoke.mutate(ending.id)}
        onClose={() => setEnding(null)}
      />
    </Stack>
  );
}

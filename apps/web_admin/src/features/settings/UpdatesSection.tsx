import { Button, Group, Select, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { UpdateState } from "../../../electron/bridge";
import { queries } from "../../api/queries";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { useFormat } from "../../i18n/format";
import { useSettings } from "./use_settings";

const CHANNELS = ["stable", "beta", "off"] as const;

function ShellUpdates({ channel }: { channel: (typeof CHANNELS)[number] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const shell = window.studio;
  const [state, setState] = useState<UpdateState>({ name: "idle" });
  useEffect(() => shell?.onUpdate(setState), [shell]);
  if (shell === undefined) return null;
  const told = {
    version: "version" in state ? state.version : "",
    percent: "share" in state ? format.percent(state.share) : "",
    reason: "reason" in state ? state.reason : "",
  };
  return (
    <>
      <Text size="sm" role="status">
        {t(`settings.updates.state.${state.name}`, told)}
      </Text>
      <Group>
        <Button variant="default" disabled={channel === "off"} loading={state.name === "checking"} onClick={() => void shell.checkUpdate(channel)}>
          {t("settings.updates.check")}
        </Button>
        {state.name === "ready" && <Button onClick={() => void shell.installUpdate()}>{t("settings.updates.install")}</Button>}
      </Group>
    </>
  );
}

/** Which version this is, and where new ones come from. */
export function UpdatesSection() {
  const { t } = useTranslation();
  const { query, change } = useSettings();
  const capabilities = useQuery(queries.capabilities());
  return (
    <Loaded query={query}>
      {(values) => (
        <Stack className="panel" gap="md">
          <Text size="sm">
            {t("settings.updates.version")}: <b>{capabilities.data?.version ?? "–"}</b>
          </Text>
          <Select
            maw={420}
            label={t("settings.updates.channel")}
            value={values.update_channel}
            allowDeselect={false}
            onChange={(value) => change.mutate({ update_channel: CHANNELS.find((name) => name === value) ?? "stable" })}
            data={CHANNELS.map((name) => ({ value: name, label: t(`settings.updates.channels.${name}`) }))}
          />
          {window.studio === undefined ? (
            <Text size="sm" c="dimmed">
              {t("settings.updates.page")}
            </Text>
          ) : (
            <ShellUpdates channel={values.update_channel} />
          )}
          {change.isError && <ErrorNote error={change.error} />}
        </Stack>
      )}
    </Loaded>
  );
}

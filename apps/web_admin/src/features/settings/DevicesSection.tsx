import { Group, Select, SimpleGrid, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { Tag } from "../../components/Tag";
import { useBilingual } from "../../i18n/bilingual";
import { chooseDevice, chosenDevice, type DeviceRole, useDevices } from "./devices";
import { MicrophoneTest } from "./MicrophoneTest";
import { useSettings } from "./use_settings";

const COMPUTES = ["auto", "cpu", "cuda"] as const;
const STANDARD = "";

function DeviceSelect({ role, devices }: { role: DeviceRole; devices: readonly MediaDeviceInfo[] }) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState(chosenDevice(role) ?? STANDARD);
  const there = devices.some((device) => device.deviceId === chosen);
  const choose = (value: string | null) => {
    setChosen(value ?? STANDARD);
    chooseDevice(role, value === null || value === STANDARD ? null : value);
  };
  return (
    <Select
      label={t(`settings.devices.${role}`)}
      value={there ? chosen : STANDARD}
      allowDeselect={false}
      onChange={choose}
      data={[
        { value: STANDARD, label: t("settings.devices.standard") },
        ...devices.map((device, index) => ({ value: device.deviceId, label: device.label || t("settings.devices.unnamed", { number: index + 1 }) })),
      ]}
    />
  );
}

function Camera() {
  const { t } = useTranslation();
  const bilingual = useBilingual();
  const checks = useQuery(queries.checks());
  const camera = checks.data?.checks.find((check) => check.id === "virtual_camera");
  if (camera === undefined) return null;
  return (
    <div>
      <Group gap="sm">
        <Text fw={500} size="sm">
          {t("settings.devices.camera")}
        </Text>
        <Tag tone={camera.state}>{t(`severity.${camera.state}`)}</Tag>
      </Group>
      <Text size="sm" c="dimmed">
        {bilingual(camera.message)}
        {camera.state !== "ok" && ` · ${bilingual(camera.remedy)}`}
      </Text>
    </div>
  );
}

/** What computes, what listens and what plays. */
export function DevicesSection() {
  const { t } = useTranslation();
  const { query, change } = useSettings();
  const capabilities = useQuery(queries.capabilities());
  const devices = useDevices();
  const cuda = capabilities.data?.devices.includes("cuda") ?? false;
  return (
    <Loaded query={query}>
      {(values) => (
        <Stack className="panel" gap="lg">
          <Select
            maw={420}
            label={t("settings.devices.compute")}
            description={cuda ? undefined : t("settings.devices.noGpu")}
            value={values.device}
            allowDeselect={false}
            onChange={(value) => change.mutate({ device: COMPUTES.find((name) => name === value) ?? "auto" })}
            data={COMPUTES.map((name) => ({ value: name, label: t(`settings.devices.computes.${name}`), disabled: name === "cuda" && !cuda }))}
          />
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            <DeviceSelect role="microphone" devices={devices.inputs} />
            {"setSinkId" in HTMLMediaElement.prototype ? (
              <DeviceSelect role="speaker" devices={devices.outputs} />
            ) : (
              <Text size="sm" c="dimmed">
                {t("settings.devices.noSpeaker")}
              </Text>
            )}
          </SimpleGrid>
          {!devices.named && (
            <Text size="sm" c="dimmed">
              {t("settings.devices.allowHint")}
            </Text>
          )}
          <MicrophoneTest onAllowed={devices.refresh} />
          <Camera />
          {change.isError && <ErrorNote error={change.error} />}
        </Stack>
      )}
    </Loaded>
  );
}

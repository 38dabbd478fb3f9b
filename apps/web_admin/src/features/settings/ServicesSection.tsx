import { Button, Collapse, Group, Stack, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { Service } from "../../api/types";
import { ErrorNote } from "../../components/ErrorNote";
import { Loaded } from "../../components/Loaded";
import { Note } from "../../components/Note";
import { Tag } from "../../components/Tag";
import { ServiceForm } from "./ServiceForm";
import { serviceName } from "./service_names";

function ServiceRow({ service }: { service: Service }) {
  const { t, i18n } = useTranslation();
  const [opened, { toggle }] = useDisclosure();
  const params = { path: { kind: service.kind, name: service.name } };
  const check = useMutation({ mutationFn: () => must(api().POST("/api/v1/settings/services/{kind}/{name}:check", { params })) });
  const name = serviceName(service.name, i18n.language);
  const touched = service.fields.some((field) => field.by_owner || (field.kind === "secret" && field.is_set));
  return (
    <Stack className="panel" p="md" gap="sm" component="article" data-service={`${service.kind}:${service.name}`}>
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={3} size="h6">
            {name}
          </Title>
          {service.available ? (
            <Tag tone={touched ? "ok" : "idle"}>{touched ? t("settings.services.configured") : t("settings.services.untouched")}</Tag>
          ) : (
            <Tag tone="warning">{t("settings.services.unavailable")}</Tag>
          )}
        </Group>
        {service.available && (
          <Group gap="xs">
            <Button size="xs" variant="default" loading={check.isPending} aria-label={`${t("settings.services.check")}: ${name}`} onClick={() => check.mutate()}>
              {t("settings.services.check")}
            </Button>
            <Button size="xs" variant="default" aria-expanded={opened} aria-label={`${t("settings.services.edit")}: ${name}`} onClick={toggle}>
              {t("settings.services.edit")}
            </Button>
          </Group>
        )}
      </Group>
      {!service.available && (
        <Text size="sm" c="dimmed" lang="en">
          {service.reason}
        </Text>
      )}
      {check.data !== undefined && (
        <Note tone={check.data.ok ? "ok" : "warning"} title={check.data.ok ? t("settings.services.works") : t("settings.services.fails")}>
          <Text size="sm" mt={4} lang="en">
            {check.data.message} {check.data.remedy}
          </Text>
        </Note>
      )}
      {check.isError && <ErrorNote error={check.error} />}
      <Collapse expanded={opened}>
        <ServiceForm service={service} />
      </Collapse>
    </Stack>
  );
}

/** Services for voices and replies: their addresses and keys, and whether they answer. */
export function ServicesSection() {
  const { t } = useTranslation();
  const services = useQuery(queries.services());
  return (
    <Stack gap="lg">
      <Text size="sm" c="dimmed">
        {t("settings.services.lead")}
      </Text>
      <Loaded query={services}>
        {(found) => (
          <>
            {(["reply", "voice"] as const).map((kind) => (
              <Stack key={kind} gap="sm" component="section">
                <Title order={2} size="h5">
                  {t(`settings.services.${kind}`)}
                </Title>
                {found
                  .filter((service) => service.kind === kind)
                  .map((service) => (
                    <ServiceRow key={service.name} service={service} />
                  ))}
              </Stack>
            ))}
          </>
        )}
      </Loaded>
    </Stack>
  );
}

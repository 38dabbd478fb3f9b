import { Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import type { Check } from "../../api/types";
import { Icon } from "../../components/Icon";
import { Loaded } from "../../components/Loaded";
import { Tag } from "../../components/Tag";
import { useBilingual } from "../../i18n/bilingual";

const ORDER = { error: 0, warning: 1, ok: 2 } as const;

function CheckRow({ check }: { check: Check }) {
  const { t } = useTranslation();
  const bilingual = useBilingual();
  return (
    <Group component="li" gap="sm" wrap="nowrap" align="flex-start" data-check={check.id}>
      <Tag tone={check.state}>
        <Icon name={check.state} size={14} />
        {t(`severity.${check.state}`)}
      </Tag>
      <div>
        <Text size="sm" fw={600}>
          {bilingual(check.title)}
        </Text>
        <Text size="sm" c="dimmed">
          {bilingual(check.message)}
        </Text>
        {check.state !== "ok" && (
          <Text size="sm" c="dimmed">
            {bilingual(check.remedy)}
          </Text>
        )}
      </div>
    </Group>
  );
}

/** What the studio needs from this machine, worst first, with what to do. */
export function Checks() {
  const { t } = useTranslation();
  const checks = useQuery(queries.checks());
  return (
    <Stack className="panel" component="section" gap="md">
      <Title order={2} size="h5">
        {t("home.checks")}
      </Title>
      <Loaded query={checks}>
        {(found) => (
          <Stack gap="sm" component="ul" p={0} m={0} style={{ listStyle: "none" }}>
            {[...found.checks]
              .sort((a, b) => ORDER[a.state] - ORDER[b.state])
              .map((check) => (
                <CheckRow key={check.id} check={check} />
              ))}
          </Stack>
        )}
      </Loaded>
    </Stack>
  );
}

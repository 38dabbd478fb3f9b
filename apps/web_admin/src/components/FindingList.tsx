import { Group, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Finding } from "../api/types";
import { useBilingual } from "../i18n/bilingual";
import { Icon } from "./Icon";
import { Tag } from "./Tag";

const ORDER = { error: 0, warning: 1, ok: 2 } as const;

/** What a check found, worst first; each with what to do about it. */
export function FindingList({ findings }: { findings: readonly Finding[] }) {
  const { t } = useTranslation();
  const bilingual = useBilingual();
  const sorted = [...findings].sort((a, b) => ORDER[a.severity] - ORDER[b.severity]);
  return (
    <Stack gap="xs" mt="sm" component="ul" p={0} style={{ listStyle: "none" }}>
      {sorted.map((finding, index) => (
        <li key={`${finding.code}-${index}`} className="panel" style={{ padding: "12px 16px" }} data-finding={finding.code}>
          <Group gap="sm" wrap="nowrap" align="flex-start">
            <Tag tone={finding.severity}>
              <Icon name={finding.severity} size={14} />
              {t(`severity.${finding.severity}`)}
            </Tag>
            <div>
              <Text fw={500} size="sm">
                {bilingual(finding.message)}
              </Text>
              {finding.severity !== "ok" && bilingual(finding.remedy) !== "" && (
                <Text size="sm" c="dimmed" mt={2}>
                  {bilingual(finding.remedy)}
                </Text>
              )}
            </div>
          </Group>
        </li>
      ))}
    </Stack>
  );
}

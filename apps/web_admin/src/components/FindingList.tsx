import { Group, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Finding } from "../api/types";
import { useBilingual } from "../i18n/bilingual";
import { Icon } from "./Icon";
import { Tag } from "./Tag";

const ORDER = { error: 0, warning: 1, ok: 2 } as const;

function FindingRow({ finding }: { finding: Finding }) {
  const { t } = useTranslation();
  const bilingual = useBilingual();
  return (
    <li className="panel" style={{ padding: "12px 16px" }} data-finding={finding.code}>
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
  );
}

function Rows({ findings }: { findings: readonly Finding[] }) {
  return (
    <Stack gap="xs" mt="sm" component="ul" p={0} mb={0} style={{ listStyle: "none" }}>
      {findings.map((finding, index) => (
        <FindingRow key={`${finding.code}-${index}`} finding={finding} />
      ))}
    </Stack>
  );
}

/** What a check found: what asks for something first, worst on top; what is in order folded below. */
export function FindingList({ findings }: { findings: readonly Finding[] }) {
  const { t } = useTranslation();
  const sorted = [...findings].sort((a, b) => ORDER[a.severity] - ORDER[b.severity]);
  const open = sorted.filter((finding) => finding.severity !== "ok");
  const fine = sorted.filter((finding) => finding.severity === "ok");
  return (
    <>
      {open.length > 0 && <Rows findings={open} />}
      {fine.length > 0 && (
        <details style={{ marginTop: 12 }}>
          <summary style={{ cursor: "pointer", fontSize: 14, fontWeight: 600 }}>{t("report.fine", { count: fine.length })}</summary>
          <Rows findings={fine} />
        </details>
      )}
    </>
  );
}

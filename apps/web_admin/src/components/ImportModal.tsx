import { Button, Checkbox, Group, Modal, PasswordInput, Progress, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "../api/queries";
import type { ConsentCreate, Job } from "../api/types";
import { sendInParts } from "../api/upload";
import { useFormat } from "../i18n/format";
import { DropZone } from "./DropZone";
import { ErrorNote } from "./ErrorNote";
import { JobProgress } from "./JobProgress";

interface ImportModalProps {
  readonly what: "avatars" | "voices";
  readonly begin: (uploadId: string, consent: ConsentCreate, passphrase: string | null) => Promise<Job>;
  readonly onClose: () => void;
}

/** Brings in a file that a studio exported. The person's consent is given anew: this is another studio. */
export function ImportModal({ what, begin, onClose }: ImportModalProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const client = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [person, setPerson] = useState("");
  const [agreed, setAgreed] = useState(false);
  const [sent, setSent] = useState(0);
  const [passphrase, setPassphrase] = useState("");
  const statement = t("library.statement", { person: person.trim() || "…" });
  const start = useMutation({
    mutationFn: async (chosen: File) => {
      const id = await sendInParts(chosen, (bytes) => setSent(bytes / chosen.size), new AbortController().signal);
      return begin(id, { person: person.trim(), scope: ["train", "live", "export"], statement, statement_version: "1", agreed: true } as ConsentCreate, passphrase === "" ? null : passphrase);
    },
    onSuccess: () => client.invalidateQueries({ queryKey: ["jobs"], exact: true }),
  });
  const job = useQuery({ ...queries.job(start.data?.id ?? ""), enabled: start.data !== undefined });
  const title = t("library.importTitle", { what: what === "avatars" ? t("library.importAvatar") : t("library.importVoice") });
  return (
    <Modal opened onClose={onClose} title={title} size="lg" centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        <DropZone label={t("library.file")} hint={t("library.fileHint")} accept=".zip,.ltseal,application/zip" file={file} describe={(chosen) => format.bytes(chosen.size)} onFile={setFile} />
        <TextInput label={t("library.person")} maxLength={120} value={person} onChange={(event) => setPerson(event.currentTarget.value)} />
        <PasswordInput label={t("library.sealed")} autoComplete="off" maxLength={200} visibilityToggleButtonProps={{ "aria-label": t("login.show") }} value={passphrase} onChange={(event) => setPassphrase(event.currentTarget.value)} />
        <Text size="sm" c="dimmed">
          {statement}
        </Text>
        <Checkbox label={t("library.agree")} checked={agreed} onChange={(event) => setAgreed(event.currentTarget.checked)} />
        {start.isPending && <Progress value={sent * 100} aria-label={t("library.sending")} />}
        {start.isError && <ErrorNote error={start.error} />}
        {job.data !== undefined && <JobProgress job={job.data} title={title} />}
        <Group justify="flex-end">
          <Button disabled={file === null || person.trim() === "" || !agreed || start.isSuccess} loading={start.isPending} onClick={() => file !== null && start.mutate(file)}>
            {t("library.start")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

import { Button, Modal, PasswordInput, Stack, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { address } from "../api/connection";
import { queries } from "../api/queries";
import type { Job } from "../api/types";
import { ErrorNote } from "./ErrorNote";
import { JobProgress } from "./JobProgress";

/** The control API refuses shorter ones. */
const SHORTEST = 8;

interface ExportModalProps {
  readonly name: string;
  readonly begin: (passphrase: string | null) => Promise<Job>;
  readonly onClose: () => void;
}

/** Packs something into a file, sealed with a passphrase where one is given, and offers it for download. */
export function ExportModal({ name, begin, onClose }: ExportModalProps) {
  const { t } = useTranslation();
  const [passphrase, setPassphrase] = useState("");
  const start = useMutation({ mutationFn: () => begin(passphrase === "" ? null : passphrase) });
  const job = useQuery({ ...queries.job(start.data?.id ?? ""), enabled: start.data !== undefined });
  const url = job.data?.file_url;
  const title = t("library.exportTitle", { name });
  return (
    <Modal opened onClose={onClose} title={title} centered closeButtonProps={{ "aria-label": t("common.close") }}>
      <Stack>
        {start.data === undefined && (
          <>
            <PasswordInput
              label={t("library.passphrase")}
              description={t("library.passphraseHint")}
              autoComplete="new-password"
              maxLength={200}
              visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
              value={passphrase}
              onChange={(event) => setPassphrase(event.currentTarget.value)}
              data-autofocus
            />
            <Button loading={start.isPending} disabled={passphrase !== "" && passphrase.length < SHORTEST} onClick={() => start.mutate()}>
              {t("library.export")}
            </Button>
          </>
        )}
        {start.isError && <ErrorNote error={start.error} />}
        {job.data !== undefined && <JobProgress job={job.data} title={title} />}
        {typeof url === "string" && (
          <>
            <Text size="sm" role="status">
              {t("library.exportReady")}
            </Text>
            <Button component="a" href={address(url)} download>
              {t("library.download")}
            </Button>
          </>
        )}
      </Stack>
    </Modal>
  );
}

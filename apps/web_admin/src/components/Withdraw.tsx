import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Confirm } from "./Confirm";
import { ErrorNote } from "./ErrorNote";

interface WithdrawProps {
  readonly name: string;
  readonly begin: () => Promise<unknown>;
}

/** Takes back the consent that something rests on, after saying what that means. */
export function Withdraw({ name, begin }: WithdrawProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [asking, ask] = useDisclosure();
  const withdraw = useMutation({ mutationFn: begin, onSuccess: () => client.invalidateQueries(), onSettled: ask.close });
  return (
    <>
      <Button size="xs" variant="default" aria-label={`${t("takes.withdraw")}: ${name}`} onClick={ask.open}>
        {t("takes.withdraw")}
      </Button>
      {withdraw.isError && <ErrorNote error={withdraw.error} />}
      <Confirm
        opened={asking}
        title={t("library.withdrawTitle", { name })}
        consequence={t("takes.withdrawText")}
        action={t("takes.withdraw")}
        busy={withdraw.isPending}
        onConfirm={() => withdraw.mutate()}
        onClose={ask.close}
      />
    </>
  );
}

import { useTranslation } from "react-i18next";
import { Empty } from "../components/Empty";
import { LinkButton } from "../components/LinkButton";
import { PageHead } from "../components/PageHead";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <>
      <PageHead title={t("notFound.title")} />
      <Empty icon="warning" title={t("notFound.title")} text={t("notFound.text")}>
        <LinkButton to="/">{t("notFound.home")}</LinkButton>
      </Empty>
    </>
  );
}

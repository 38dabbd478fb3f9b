import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import type { SettingsUpdate, SettingsValues } from "../../api/types";

/** The settings in force, and how to change some of them. */
export function useSettings() {
  const client = useQueryClient();
  const query = useQuery(queries.settings());
  const change = useMutation({
    mutationFn: (body: SettingsUpdate) => must(api().PATCH("/api/v1/settings", { body })),
    onMutate: (body) => {
      const before = client.getQueryData<SettingsValues>(["settings"]);
      const chosen = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
      if (before !== undefined) client.setQueryData<SettingsValues>(["settings"], { ...before, ...chosen });
      return before;
    },
    onError: (_error, _body, before) => client.setQueryData(["settings"], before),
    onSuccess: (values) => {
      client.setQueryData(["settings"], values);
      void client.invalidateQueries({ queryKey: ["capabilities"] });
    },
  });
  return { query, change };
}

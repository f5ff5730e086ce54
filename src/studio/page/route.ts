/** @file Which page is shown: the part of the address after "#", so that the token's query stays as it is. */
import { useEffect, useState } from "preact/hooks";

export type Route =
  | { readonly page: "runs" }
  | { readonly page: "run"; readonly id: string }
  | { readonly page: "folds"; readonly id: string }
  | { readonly page: "comparison"; readonly id: string }
  | { readonly page: "compare"; readonly ids: readonly string[] }
  | { readonly page: "new" }
  | { readonly page: "private" };

export function parseRoute(hash: string): Route {
  const [, page = "", rest = ""] = hash.split("/");
  if ((page === "run" || page === "folds" || page === "comparison") && /^\w+$/.test(rest)) return { page, id: rest };
  if (page === "compare") return { page: "compare", ids: rest.split(",").filter((id) => /^\w+$/.test(id)) };
  return page === "new" || page === "private" ? { page } : { page: "runs" };
}

export const linkTo = {
  runs: "#/",
  run: (id: string) => `#/run/${id}`,
  folds: (id: string) => `#/folds/${id}`,
  comparison: (id: string) => `#/comparison/${id}`,
  compare: (ids: readonly string[]) => `#/compare/${ids.join(",")}`,
  new: "#/new",
  private: "#/private",
};

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return parseRoute(hash);
}

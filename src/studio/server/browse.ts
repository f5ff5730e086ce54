/** @file Names of files below the folder in which the studio was started, to choose data and weights from; nothing outside of it. */
import { readdir, realpath } from "node:fs/promises";
import { isAbsolute, resolve, sep } from "node:path";

/** Most names of one folder. */
const MOST = 500;

/**
 * @param typed what the person has typed so far: "data/po"
 * @returns paths that may follow, folders with "/" at the end; null where it leads outside
 */
export async function browse(root: string, typed: string): Promise<readonly string[] | null> {
  if (typed.includes("\0") || typed.length > 4096) return null;
  const slash = typed.lastIndexOf("/");
  const folder = typed.slice(0, slash + 1);
  if (isAbsolute(typed) || /^[a-z]:/i.test(typed) || typed.includes("\\") || folder.split("/").includes(".."))
    return null;
  const [top, path] = await Promise.all([realpath(root), realpath(resolve(root, folder)).catch(() => "")]);
  if (path === "") return [];
  if (path !== top && !path.startsWith(top.endsWith(sep) ? top : top + sep)) return null; // through a link
  const begin = typed.slice(slash + 1).toLowerCase();
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((e) => !e.name.startsWith(".") && e.name !== "node_modules" && e.name.toLowerCase().startsWith(begin))
    .filter((e) => e.isDirectory() || e.isFile() || e.isSymbolicLink())
    .slice(0, MOST)
    .map((e) => `${folder}${e.name}${e.isDirectory() ? "/" : ""}`)
    .sort();
}

/** @file The frame around every page: name, navigation, theme, and a word when the server is gone. */
import { useEffect, useRef } from "preact/hooks";
import { type List, useList } from "./list.js";
import { ComparePage } from "./pages/compare.js";
import { ComparisonPage } from "./pages/comparison.js";
import { FoldsPage } from "./pages/folds.js";
import { NewRunPage } from "./pages/new-run.js";
import { RunPage } from "./pages/run.js";
import { RunsPage } from "./pages/runs.js";
import { ThemeButton } from "./parts/theme-button.js";
import { PrivatePage } from "./private/page.js";
import { linkTo, type Route, useRoute } from "./route.js";
import { type Mode, useTheme } from "./theme.js";

export function App() {
  const route = useRoute();
  const list = useList();
  const [mode, toggle] = useTheme();
  const main = useRef<HTMLElement>(null);
  const key = JSON.stringify(route);
  const first = useRef(true);
  // A reader of the screen is told of the new page; not of the first one, which it reads by itself.
  useEffect(() => {
    if (!first.current) main.current?.focus();
    first.current = false;
    scrollTo(0, 0);
  }, [key]);
  const link = (href: string, name: string, current: boolean) => (
    <a href={href} aria-current={current ? "page" : undefined}>
      {name}
    </a>
  );
  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <a class="brand" href={linkTo.runs}>
          <Logo /> metalr <span>studio</span>
        </a>
        <nav aria-label="Pages">
          {link(linkTo.runs, "Runs", route.page === "runs")}
          {link(linkTo.new, "New run", route.page === "new")}
          {link(linkTo.private, "Private fine-tune", route.page === "private")}
        </nav>
        <ThemeButton mode={mode} toggle={toggle} />
      </header>
      <p class={`lost${list.connected ? "" : " shown"}`} role="status">
        {list.connected ? "" : "The studio does not answer: it was ended, or is busy. This page tries again by itself."}
      </p>
      <main ref={main} tabIndex={-1} key={key}>
        <Page route={route} list={list} mode={mode} />
      </main>
    </>
  );
}

function Page({ route, list, mode }: { route: Route; list: List; mode: Mode }) {
  if (route.page === "run") return <RunPage id={route.id} list={list} mode={mode} />;
  if (route.page === "folds") return <FoldsPage id={route.id} list={list} mode={mode} />;
  if (route.page === "comparison") return <ComparisonPage id={route.id} list={list} />;
  if (route.page === "compare") return <ComparePage ids={route.ids} mode={mode} />;
  if (route.page === "new") return <NewRunPage list={list} />;
  if (route.page === "private") return <PrivatePage mode={mode} />;
  return <RunsPage list={list} mode={mode} />;
}

const Logo = () => (
  <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
    <rect width="32" height="32" rx="8" fill="#143a5a" />
    <path
      d="M6 9c7 0 9 2 20 2M6 15c7 0 9 5 20 5M6 12c8 0 10 12 20 12"
      fill="none"
      stroke="#56b4e9"
      stroke-width="2.4"
      stroke-linecap="round"
    />
  </svg>
);

/** @file Facts of who may ask the studio: the token, origins, hosts, paths and bodies, and that refusals harm nothing. */
import { request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestStudio, testStudio, writeRun } from "./studio.testing.js";

let studio: TestStudio;
let origin: string;
let token: string;
beforeAll(async () => {
  studio = await testStudio((runs) => writeRun(`${runs}/a`));
  origin = new URL(studio.url).origin;
  token = new URL(studio.url).searchParams.get("token") ?? "";
});
afterAll(() => studio.end());

/** A request as it is: fetch would tidy the path and set Host itself. */
function raw(
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { port } = studio;
    const r = request({ host: "127.0.0.1", port, path, method, headers }, (res) => {
      let body = "";
      res.on("data", (d: Buffer) => {
        body += d.toString();
      });
      res.on("end", () => resolve({ status: res.statusCode ?? 0, body }));
    });
    r.on("error", reject);
    r.end();
  });
}

const stillUp = async () => expect((await studio.ask("/api/runs")).status).toBe(200);

describe("the token", () => {
  test("the printed address answers 200, with a policy that allows no other origin", async () => {
    const answer = await fetch(studio.url);
    expect(answer.status).toBe(200);
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect(policy).toContain(
      "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self';",
    );
    expect(policy.replace("'wasm-unsafe-eval'", "")).not.toContain("unsafe"); // WebAssembly may be compiled, text is never code
    expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
    expect(answer.headers.get("cross-origin-embedder-policy")).toBe("require-corp");
  });

  test.each([
    "/",
    "/api/runs",
    "/api/events",
    "/api/form",
    "/api/follow",
    "/api/runs/a/worst",
    "/api/runs/a/images/1",
    "/api/folds/a",
    "/api/comparisons/a/report",
    "/assets/none.js",
    "/nowhere",
    "/favicon.ico",
    "/%2e%2e/%00",
  ])("%s without it, or with a wrong one, is 401 and nothing else", async (path) => {
    for (const [query, headers] of [
      ["", {}],
      ["?token=", {}],
      [`?token=${token}x`, {}],
      [`?token=${token.slice(1)}`, {}],
      ["", { authorization: "Bearer nonsense" }],
    ] as const) {
      for (const method of ["GET", "POST", "PUT", "OPTIONS"]) {
        const answer = await fetch(`${origin}${path}${query}`, { method, headers });
        expect(answer.status, `${method} ${path}${query}`).toBe(401);
        expect(await answer.text()).toBe("401: open the address that metalr studio has printed, with its token\n");
      }
    }
  });

  test("it never reaches the log", () => {
    expect(studio.logged.length).toBeGreaterThan(0);
    expect(studio.logged.join("\n")).not.toContain(token.slice(1));
  });
});

describe("other origins and hosts", () => {
  test.each(["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])("Origin %s", async (other) => {
    expect((await raw(`/api/runs?token=${token}`, { origin: other })).status).toBe(403);
  });

  test.each(["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"])("Host %s", async (host) => {
    expect((await raw(`/?token=${token}`, { host })).status).toBe(403);
  });

  test("its own page may ask", async () => {
    expect((await raw(`/api/runs?token=${token}`, { origin })).status).toBe(200);
    const { port } = studio;
    expect(
      (await raw(`/api/runs?token=${token}`, { host: `localhost:${port}`, origin: `http://localhost:${port}` })).status,
    ).toBe(200);
  });
});

describe("paths", () => {
  test.each([
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/assets/../../../package.json",
    "/assets/..%2f..%2f..%2fpackage.json",
    "/..\\..\\package.json",
    "/api/runs/..%2f..%2f/files/run.json",
    "/api/runs/a/files/..%2f..%2frun.json",
    "/%00",
    "/%ff",
  ])("%s leads nowhere", async (path) => {
    const { status, body } = await raw(`${path}?token=${token}`);
    expect([400, 404]).toContain(status);
    expect(body).not.toMatch(/root:|"name": "metalr"/);
    await stillUp();
  });

  test.each(["../", "/etc/", "a/../../", "runs/../../", "..\\", "C:\\"])(
    "files are not listed outside: %s",
    async (path) => {
      expect((await studio.ask(`/api/browse?path=${encodeURIComponent(path)}`)).status).toBe(400);
    },
  );

  test("files below the folder are", async () => {
    expect(await (await studio.ask("/api/browse?path=runs/")).json()).toEqual(["runs/a/"]);
  });

  test("files of a run by their names only", async () => {
    const [run] = (await (await studio.ask("/api/runs")).json()) as { id: string }[];
    const id = run?.id ?? "";
    expect((await studio.ask(`/api/runs/${id}/files/run.json`)).status).toBe(200);
    for (const name of ["writer.json", "events.jsonl%00", "..%2fa%2frun.json", "checkpoints"]) {
      expect((await studio.ask(`/api/runs/${id}/files/${name}`)).status).toBe(404);
    }
  });
});

describe("bodies", () => {
  const json = { "content-type": "application/json" };

  test.each([
    ["no JSON", "{", json],
    ["another form", '{"values":{"a":1}}', json],
    ["more than the form", '{"values":{},"x":1}', json],
    ["another type", '{"values":{}}', { "content-type": "text/plain" }],
    ["a body that is nested too deep", `${"[".repeat(30_000)}${"]".repeat(30_000)}`, json],
    ["objects that are nested too deep", `${'{"values":'.repeat(5_000)}1${"}".repeat(5_000)}`, json],
    ["a strange key", '{"values":{"__proto__ ":"1"}}', json],
  ])("%s is refused", async (_, body, headers) => {
    for (const path of ["/api/start", "/api/check", "/api/runs/a/delete", "/api/folds/a/delete"]) {
      const answer = await studio.ask(path, { method: "POST", body, headers });
      expect(answer.status).toBe(400);
      expect(await answer.json()).toEqual({ problem: "the body is not a form" });
    }
    expect(studio.logged.at(-1)).toBe("refused a POST request: a malformed body (400)");
  });

  /** Sends `bytes` and goes on sending as long as the other side lets it. */
  function upload(head: string, bytes: number, chunked = false): Promise<{ answer: string; sent: number }> {
    return new Promise((resolve) => {
      const socket = connect(studio.port, "127.0.0.1");
      const data = Buffer.alloc(1 << 20, "a");
      const block = chunked ? Buffer.concat([Buffer.from("100000\r\n"), data, Buffer.from("\r\n")]) : data;
      let [answer, sent, closed] = ["", 0, false];
      const more = () => {
        while (!closed && sent < bytes) {
          sent += block.length;
          if (!socket.write(block)) return;
        }
      };
      socket.on("connect", () => {
        socket.write(head);
        more();
      });
      socket.on("drain", more);
      socket.on("data", (d) => {
        answer += d.toString();
      });
      socket.on("error", () => {});
      socket.on("close", () => {
        closed = true;
        resolve({ answer, sent });
      });
    });
  }

  test.each([
    ["with its length", `Content-Length: ${1 << 30}`, 413],
    ["in chunks", "Transfer-Encoding: chunked", 411],
  ])("an upload of 1 GB %s is refused before it is read", async (_, header, status) => {
    const head = `POST /api/start?token=${token} HTTP/1.1\r\nHost: 127.0.0.1:${studio.port}\r\nContent-Type: application/json\r\n${header}\r\n\r\n`;
    const { answer, sent } = await upload(head, 1 << 30, header.startsWith("Transfer"));
    expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    expect(sent).toBeLessThan(100 << 20);
    await stillUp();
  });

  test("an upload without the token is 401 before it is read", async () => {
    const head = `POST /upload HTTP/1.1\r\nHost: 127.0.0.1:${studio.port}\r\nContent-Length: ${1 << 30}\r\n\r\n`;
    const { answer, sent } = await upload(head, 1 << 30);
    expect(answer.slice(0, 12)).toBe("HTTP/1.1 401");
    expect(sent).toBeLessThan(100 << 20);
    await stillUp();
  });

  test("what is no HTTP is refused", async () => {
    const socket = connect(studio.port, "127.0.0.1");
    socket.write("\x16\x03\x01 nonsense\r\n\r\n");
    let answer = "";
    for await (const bytes of socket) answer += String(bytes);
    expect(answer.slice(0, 12)).toBe("HTTP/1.1 400");
    await stillUp();
  });

  test("nothing of what was sent is logged", () => {
    expect(studio.logged.join("\n")).not.toMatch(/aaaa|nonsense|values|proto|upload|etc/);
  });
});

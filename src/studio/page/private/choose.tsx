/** @file Picking and dropping files: a large target for the mouse, buttons for the keyboard. */
import { useRef, useState } from "preact/hooks";
import type { PickedFile } from "../../../platform/web/files.js";
import { filesOf, filesOfDrop } from "../../../web/files.js";

export function Choose({
  name,
  hint,
  folders = false,
  many = false,
  disabled,
  take,
  fail,
}: {
  name: string;
  hint: string;
  /** Offer a button for folders, too. */
  folders?: boolean;
  many?: boolean;
  disabled: boolean;
  take: (files: readonly PickedFile[]) => void;
  fail: (error: unknown) => void;
}) {
  const [over, setOver] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const picked = (input: HTMLInputElement) => {
    const { files } = input;
    if (files !== null && files.length > 0) filesOf(files).then(take, fail);
    input.value = ""; // the same file can be picked again
  };
  const dropped = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (!disabled && event.dataTransfer !== null) filesOfDrop(event.dataTransfer).then(take, fail);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a mouse's way; the buttons inside are everybody's
    <div
      class={`drop${over ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(!disabled);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={dropped}
    >
      <p>
        <strong>Drop {name} here</strong>, or
      </p>
      <p class="row">
        <button type="button" disabled={disabled} onClick={() => file.current?.click()}>
          Choose {many ? "files" : "a file"}
        </button>
        {folders ? (
          <button type="button" disabled={disabled} onClick={() => folder.current?.click()}>
            Choose a folder
          </button>
        ) : null}
      </p>
      <p class="about">{hint}</p>
      <input
        ref={file}
        type="file"
        class="unseen"
        tabIndex={-1}
        multiple={many}
        aria-label={`${name}: files`}
        onChange={(e) => picked(e.currentTarget)}
      />
      {folders ? (
        <input
          ref={folder}
          type="file"
          class="unseen"
          tabIndex={-1}
          aria-label={`${name}: folder`}
          {...{ webkitdirectory: true }}
          onChange={(e) => picked(e.currentTarget)}
        />
      ) : null}
    </div>
  );
}

/** @file The button that deletes a run, and the question before it. */
import { useId, useRef, useState } from "preact/hooks";
import type { Refusal } from "../../protocol.js";
import { post } from "../api.js";
import { Refused } from "./notices.js";

/**
 * @param path of the request: "/api/runs/ID/delete"
 * @param name what is deleted, as the server knows it: it compares
 * @param busy it is going on, so that it cannot be deleted
 */
export function Delete({
  path,
  name,
  what,
  busy,
  done,
}: {
  path: string;
  name: string;
  what: string;
  busy: boolean;
  done: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [refused, setRefused] = useState<Refusal | null>(null);
  const heading = useId();
  const remove = async () => {
    const answer = await post(path, { name });
    if ("refused" in answer) setRefused(answer.refused);
    else {
      dialog.current?.close();
      done();
    }
  };
  return (
    <>
      <button
        type="button"
        class="stop"
        disabled={busy}
        title={busy ? "Stop it first" : ""}
        onClick={() => {
          setRefused(null);
          dialog.current?.showModal();
        }}
      >
        Delete …
      </button>
      <dialog ref={dialog} aria-labelledby={heading}>
        <h2 id={heading}>Delete {what}?</h2>
        <p>
          <strong class="long">{name}</strong>
        </p>
        <p>
          Its record, checkpoints, predictions, pictures, report and trained network are deleted from the disk. This
          cannot be undone. The images that it was trained on stay.
        </p>
        <Refused refused={refused} />
        <div class="answers">
          <button type="button" onClick={() => dialog.current?.close()}>
            Keep it
          </button>
          <button type="button" class="stop filled" onClick={() => void remove()}>
            Delete
          </button>
        </div>
      </dialog>
    </>
  );
}

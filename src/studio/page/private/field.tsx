/** @file One option of a training: its words, its value, and what is wrong with it. */
import type { TrainField } from "../../../cli/train/fields.js";

const names: Readonly<Record<string, string>> = {
  lr: "Learning rate",
  maxEpoch: "Epochs",
  hyperLr: "Hyper learning rate",
  std: "Deviation",
};

/** "batchSize" → "Batch size", "metalr.direction" → "Direction". */
export const labelOf = (key: string): string => {
  const name = key.replace(/^\w+\./, "");
  const words = name.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`).replace(/\blr\b/, "rate");
  return names[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
};

export function Field({
  field: f,
  value,
  error,
  disabled,
  set,
}: {
  field: TrainField;
  value: string;
  error: string | undefined;
  disabled: boolean;
  set: (value: string) => void;
}) {
  const id = `option-${f.key.replace(".", "-")}`;
  const shared = {
    id,
    disabled,
    "aria-describedby": `${id}-help${error === undefined ? "" : ` ${id}-error`}`,
    "aria-invalid": error !== undefined,
  };
  const standard = f.default ?? "";
  return (
    <div class={`field${error === undefined ? "" : " wrong"}`}>
      <label for={id}>{labelOf(f.key)}</label>
      {f.kind === "choice" ? (
        <select {...shared} value={value} onChange={(e) => set(e.currentTarget.value)}>
          <option value="">{standard === "" ? "as usual" : `default: ${standard}`}</option>
          {f.choices.map((c) => (
            <option key={c} value={c}>
              {c}
            </option>
          ))}
        </select>
      ) : f.kind === "flag" ? (
        <input
          {...shared}
          type="checkbox"
          checked={value === "yes"}
          onChange={(e) => set(e.currentTarget.checked ? "yes" : "")}
        />
      ) : (
        <input
          {...shared}
          type="text"
          inputMode={f.kind === "number" ? "decimal" : undefined}
          autocomplete="off"
          spellcheck={false}
          placeholder={standard}
          value={value}
          onInput={(e) => set(e.currentTarget.value)}
        />
      )}
      <p id={`${id}-help`} class="help">
        {f.help}
      </p>
      <p id={`${id}-error`} class="error" role={error === undefined ? undefined : "alert"}>
        {error ?? ""}
      </p>
    </div>
  );
}

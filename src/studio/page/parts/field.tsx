/** @file One option of a training: its words, its value, and what is wrong with it. */
import type { TrainField } from "../../../cli/train/fields.js";

const names: Readonly<Record<string, string>> = {
  lr: "Learning rate",
  pretrainedPath: "Weights",
  maxEpoch: "Epochs",
  hyperLr: "Hyper learning rate",
  std: "Deviation",
  ema: "Averaged weights (EMA)",
};

/** "batchSize" → "Batch size", "metalr.direction" → "Direction". */
export const labelOf = (key: string): string => {
  const name = key.replace(/^\w+\./, "");
  const words = name.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`).replace(/\blr\b/, "rate");
  return names[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
};

export interface FieldProps {
  readonly field: TrainField;
  readonly value: string;
  readonly error: string | undefined;
  readonly disabled?: boolean;
  readonly set: (value: string) => void;
  /** The option's name on the command line, shown behind the label. */
  readonly flag?: string;
  /** What a text may be completed to. */
  readonly offered?: readonly string[];
  /** Told of every text that is typed, and of the first one. */
  readonly typing?: (text: string) => void;
}

export function Field({ field: f, value, error, disabled = false, set, flag, offered, typing }: FieldProps) {
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
      <label for={id}>
        {labelOf(f.key)}
        {flag === undefined ? null : (
          <>
            {" "}
            <code>{flag}</code>
          </>
        )}
      </label>
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
          list={offered && `${id}-offered`}
          onFocus={() => typing?.(value)}
          onInput={(e) => {
            set(e.currentTarget.value);
            typing?.(e.currentTarget.value);
          }}
        />
      )}
      {offered && (
        <datalist id={`${id}-offered`}>
          {offered.map((o) => (
            <option key={o} value={o} />
          ))}
        </datalist>
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

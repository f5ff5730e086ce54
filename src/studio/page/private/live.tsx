/** @file A training as it goes: figures, learning rates by layer on a log axis, loss, accuracy, the confusion matrix. */
import { formatCount, formatDuration, formatNumber, NONE } from "../../../records/format.js";
import { choiceInWords } from "../../../records/run-record.js";
import type { EpochEvent } from "../../../training/types.js";
import type { EpochRow, ShownEvaluation } from "../../protocol.js";
import { Confusion } from "../parts/confusion.js";
import { Warnings } from "../parts/notices.js";
import { RunCharts } from "../parts/run-charts.js";
import { percent, Tile } from "../parts/words.js";
import type { Mode } from "../theme.js";
import type { Live } from "./session.js";

const rowOf = (e: EpochEvent): EpochRow => ({
  epoch: e.epoch,
  step: e.step,
  trainLoss: e.trainLoss,
  trainAccuracy: e.trainAccuracy,
  validationLoss: e.validation?.loss ?? null,
  validationAccuracy: e.validation?.accuracy ?? null,
  testLoss: e.test?.loss ?? null,
  testAccuracy: e.test?.accuracy ?? null,
});

function shownOf({ epochs, end }: Live): ShownEvaluation | null {
  if (end?.test) {
    return {
      title: `test images, epoch ${end.selectedEpoch} (${choiceInWords(end.select)})`,
      evaluation: end.test,
      volumes: null,
    };
  }
  const last = epochs.findLast((e) => e.validation !== undefined);
  return last?.validation
    ? { title: `validation images, epoch ${last.epoch}`, evaluation: last.validation, volumes: null }
    : null;
}

export function LiveView({ live, mode }: { live: Live; mode: Mode }) {
  const { start, last, epochs, end, curves } = live;
  const steps = (start?.epochs ?? 0) * (start?.stepsPerEpoch ?? 0);
  const evaluated = epochs.findLast((e) => e.validation !== undefined)?.validation;
  return (
    <>
      <section class="card" aria-label="How it stands">
        <progress
          class={live.state === "finished" ? "finished" : live.state === "stopped" ? "stopped" : "running"}
          value={steps > 0 ? Math.min((last?.step ?? 0) / steps, 1) : 0}
          max={1}
          aria-label={`step ${formatCount(last?.step ?? 0)} of ${formatCount(steps)}`}
        />
        <dl class="tiles">
          <Tile name="Step" note={steps > 0 ? `of ${formatCount(steps)}` : undefined}>
            {formatCount(last?.step ?? 0)}
          </Tile>
          <Tile name="Epoch" note={start ? `of ${start.epochs}` : undefined}>
            {last?.epoch ?? NONE}
          </Tile>
          <Tile name="Time left">
            {live.state === "running" && live.leftMs !== null ? formatDuration(live.leftMs) : NONE}
          </Tile>
          <Tile name="Images/s">{live.imagesPerSecond === null ? NONE : formatNumber(live.imagesPerSecond)}</Tile>
          <Tile name="Training loss">{formatNumber(last?.trainLoss)}</Tile>
          <Tile name="Validation accuracy">{percent(evaluated?.accuracy)}</Tile>
          <Tile
            name={end?.select === "test" ? "Test accuracy (leaky)" : "Test accuracy"}
            note={end?.test?.macroAuc == null ? undefined : `AUC ${formatNumber(end.test.macroAuc)}`}
          >
            {percent(end?.test?.accuracy)}
          </Tile>
        </dl>
      </section>
      <div class="charts">
        <RunCharts curves={curves} groups={start?.groups ?? []} epochs={epochs.map(rowOf)} mode={mode} />
        <Confusion shown={shownOf(live)} classes={start?.classes ?? []} mode={mode} />
      </div>
      <Warnings warnings={live.warnings} />
    </>
  );
}

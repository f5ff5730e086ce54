/** @file A table of figures: names of rows at the left, names of columns above, scrolled by itself where the screen is narrow. */
import type { ComponentChildren } from "preact";
import { Scroll } from "./words.js";

export const FigureTable = ({
  name,
  heads,
  children,
  look = "",
  frame = "",
}: {
  name: string;
  /** Of the columns, the one of the rows' names first. */
  heads: readonly ComponentChildren[];
  /** Rows. */
  children: ComponentChildren;
  /** Further classes of the table. */
  look?: string;
  /** Further classes of what scrolls. */
  frame?: string;
}) => (
  <Scroll name={name} more={frame}>
    <table class={`figures ${look}`}>
      <thead>
        <tr>
          {heads.map((head, i) => (
            <th scope="col" key={i}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  </Scroll>
);

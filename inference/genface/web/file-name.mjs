// @ts-check
/** Names of pictures. */

/**
 * The archive's file name of an image.
 *
 * @param {bigint} index
 */
export const fileName = (index) => `${String(index).padStart(6, "0")}.png`;

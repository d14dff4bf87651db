// @ts-check
/**
 * Marks that say that a picture was made by a machine, and from what; the counterpart of genface/provenance.py, which
 * reads them back.
 */

// IPTC Photo Metadata Standard, property Digital Source Type; the term for "created by a trained model".
const DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";

/** The XMP packet of every generated PNG. */
export const XMP =
  '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>' +
  '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' +
  '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"' +
  ` Iptc4xmpExt:DigitalSourceType="${DIGITAL_SOURCE_TYPE}"` +
  '/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>';

/**
 * What is needed to draw the archive's image again: the texts that genface itself gives it.
 *
 * @param {{modelSha256: string, seed: bigint, index: bigint, truncation: number | null}} picture
 * @returns {Record<string, string>}
 */
export function archiveOrigin({ modelSha256, seed, index, truncation }) {
  return {
    "genface:model_sha256": modelSha256,
    "genface:seed": String(seed),
    "genface:index": String(index),
    ...(truncation !== null && { "genface:truncation": pythonFloat(truncation) }),
  };
}

/**
 * What is needed to draw a picture again whose latent was moved, mixed or walked to: the latent itself, as base64 of
 * little-endian float32. It names no seed and index, since no archive has it.
 *
 * @param {{modelSha256: string, latent: Float32Array}} picture
 * @returns {Record<string, string>}
 */
export function editedOrigin({ modelSha256, latent }) {
  const view = new DataView(new ArrayBuffer(4 * latent.length));
  latent.forEach((number, i) => view.setFloat32(4 * i, number, true));
  return {
    "genface:model_sha256": modelSha256,
    "genface:note": "no image of an archive: its latent was edited",
    "genface:latent_f32": btoa(String.fromCharCode(...new Uint8Array(view.buffer))),
  };
}

/**
 * A number as Python's repr() writes it; the two differ in whole numbers, and below 0.0001 and from 1e16 on, where no
 * truncation of use lies.
 *
 * @param {number} value
 */
function pythonFloat(value) {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

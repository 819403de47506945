/**
 * For every TLS server of the bench, so that all contestants encrypt alike. Connectors offer AES-128 to the edge first;
 * Node.js would choose AES-256 by itself, as a server that has the choice.
 */
export const ciphers = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';

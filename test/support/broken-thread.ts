/** A worker file that cannot even be loaded. */
throw new Error('this file throws when it is loaded');

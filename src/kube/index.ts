// The door for whoever takes this folder as it is; GuestStore's own code names the files.
export * from './api-error.ts';
export * from './cache.ts';
export * from './client.ts';
export * from './connect.ts';
export * from './controller.ts';
export * from './events.ts';
export * from './finalizers.ts';
export * from './informer.ts';
export * from './leader-election.ts';
export * from './mappers.ts';
export * from './objects.ts';
export * from './resource.ts';
export * from './run-operator.ts';
export * from './status-writer.ts';

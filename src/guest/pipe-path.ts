/** Where VMware's own client looks. */
export const defaultPipe = '/var/run/vmware/guestStorePipe';

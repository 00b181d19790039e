// Package driver has what every driver needs besides its machines: the runs that it has things of, with their folders and
// ledgers; the images that the machines of a lab are made of; and the waiting until a machine is ready. It knows lab, image
// and ledger. It must not know how a machine is made, nor any driver.
package driver

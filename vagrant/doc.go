// Package vagrant is the driver that has the real Vagrant run the machines, with whatever provider the user has. It is the
// only room that knows Vagrant, its Vagrantfiles and its boxes' names.
//
// Every lab of a run gets an environment of its own: a folder with a Vagrantfile, a VAGRANT_HOME and the state that Vagrant
// keeps. The user's own environments, boxes and networks are never touched. What is special to one provider is in that
// provider's file and nowhere else. It must not know what a machine is used for: no labs' faults, no stacks.
package vagrant

"""The studio: a page on this machine where an application is tried with knobs and files.

An application brings a :class:`~emulant.studio.panel.Panel`: controls, and the command lines that
their values make. The studio runs those very commands, each job in a process and a directory of
its own, and shows the page that they write, their files, and what to type to do it again.
"""

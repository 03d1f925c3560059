# SPDX-License-Identifier: MIT
# Capistrano 3: lib/capistrano/tasks/holdfast.rake. A deploy, and a rollback, fail before the link moves if the canary does.
namespace :holdfast do
  desc "Start php-fpm in the release, behind the open sockets"
  task :release do
    on release_roles(:all) do
      execute fetch(:holdfast_release, "/usr/local/bin/holdfast-release"), release_path
    end
  end
end

before "deploy:symlink:release", "holdfast:release"

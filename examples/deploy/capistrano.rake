# SPDX-License-Identifier: MIT
# Capistrano 3: lib/capistrano/tasks/holdfast.rake. If the canary fails, a deploy or rollback fails before the link moves.
namespace :holdfast do
  desc "Start php-fpm in the release, behind the open sockets"
  task :release do
    on release_roles(:all) do
      execute fetch(:holdfast_release, "/usr/local/bin/holdfast-release"), release_path
    end
  end
end

before "deploy:symlink:release", "holdfast:release"
